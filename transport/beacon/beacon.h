// What a member says of itself on the local network, so that a node that has a ticket finds its cluster without an address.
// Spec: transport/beacon/beacon.md. Only addresses are taken from it; whom they belong to is for the secure handshake to find out.
// Size: at most kBeaconBytesMax. Threads: none. Memory: small. Errors: nullopt for what is no beacon, a sentence for one that is
// not to be believed.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/public_key.h"
#include "torus/base/strong.h"
#include "transport/secure/trust_book.h"

namespace rse {

inline constexpr std::size_t kBeaconBytesMax = 1200;
inline constexpr std::uint64_t kBeaconAgeSecondsMax = 600;

struct Beacon {
  std::uint32_t protocol_min = 0, protocol_max = 0;
  ClusterId cluster;
  NodeId node;
  PublicKey key;
  std::uint64_t time = 0;   // seconds since 1970, by its clock
  std::uint64_t nonce = 0;
  std::vector<std::string> addresses;
};

/// Signed with the node's and the cluster's keys in `book`, which has both; its `key` is taken from there. Addresses beyond what
/// fits are left out.
Bytes write_beacon(Beacon beacon, const TrustBook& book);
/// nullopt: it is none. Says nothing about the signatures.
std::optional<Beacon> read_beacon(std::span<const std::byte> datagram);
/// Costs two signatures: about 0.2 ms.
bool signatures_hold(const Beacon& beacon, std::span<const std::byte> datagram, const PublicKey& cluster_key);

/// Which beacons to believe. Threads: one. Memory: the last kRemembered nonces.
class BeaconJudge {
 public:
  static constexpr std::size_t kRemembered = 256;
  struct Verdict {
    std::optional<Beacon> beacon{};  // to be believed
    std::string why_not{};           // something that a person should know; empty: of no interest, or believed
  };
  /// What is cheap to look at comes first; `book` is that of a node that looks for its cluster.
  Verdict judge(std::span<const std::byte> datagram, const TrustBook& book, NodeId self, std::uint64_t now);

 private:
  std::deque<std::uint64_t> nonces_;
};

}  // namespace rse
