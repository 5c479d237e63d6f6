// A view: a numbered agreement on who is a member, who votes and which node hosts which torus (DESIGN 3.3).
// Size: at most kMembersMax members. Threads: none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/digest.h"
#include "torus/base/result.h"
#include "torus/base/strong.h"
#include "torus/braid/trust.h"

namespace rse {

inline constexpr std::size_t kMembersMax = 32;
inline constexpr std::size_t kAddressesMax = 8;
inline constexpr std::size_t kAddressBytesMax = 256;
inline constexpr std::size_t kNodeNameBytesMax = 64;

/// What a member takes part in, for its whole life.
enum class Role : std::uint8_t {
  kHost = 0,      // may host, hold copies and vote
  kObserver = 1,  // hears every packet, passes requests on and relays; nothing that a torus needs ever lies with it
};

/// One life of one node. A restarted process is the same node with a higher incarnation.
struct Member {
  NodeId node;
  std::uint64_t incarnation = 0;
  std::string name;                    // for people
  std::vector<std::string> addresses;  // "host:port", how others reach it
  Role role = Role::kHost;
  friend bool operator==(const Member&, const Member&) = default;
};

struct View {
  ClusterId cluster;
  ViewNumber number;
  RunId run;                 // 0: the empty scenario of a new cluster
  Digest256 scenario;        // hash of the run's scenario
  ViewNumber run_since;      // the view in which the run started
  /// Cut from which all three tori go on when `resumed` equals `number`: see Cut in messages.h.
  std::uint64_t resume_cut = 0;
  ViewNumber resumed;
  ViewNumber resume_cut_since;  // the value of `resumed` under which that cut was taken
  /// Whether a cut that was taken when `taken_under` was the newest resumption belongs to this run as it went on: later ones may
  /// have begun before it.
  bool counts(std::uint64_t cut, ViewNumber taken_under) const {
    return taken_under == resumed || (cut == resume_cut && taken_under >= resume_cut_since && taken_under < resumed);
  }
  std::vector<Member> members;
  std::vector<NodeId> voters;                // 1, 3 or 5; a dead voter stays until it is replaced
  std::array<NodeId, kTorusCount> hosts{};   // of A, B, C; each a member
  std::array<ViewNumber, kTorusCount> hosted_since{};  // the view in which that host took the torus over
  std::array<NodeId, kTorusCount> homes{};   // where a torus returns to when that node is a member again
  /// Nodes any `holders_needed` of which hold, between them, every acknowledged seal and every region of the run. They are
  /// the hosts, any one of whom may be missing, once each torus runs and has its copies; until then those of before, and after
  /// a resumption perhaps others that have a part of its cut. One that was
  /// removed meanwhile may come back with its disk.
  std::vector<NodeId> holders;
  std::uint32_t holders_needed = 0;
  Trust trust;                               // whose keys count; tickets
  friend bool operator==(const View&, const View&) = default;

  const Member* find(NodeId node) const;
  bool is_member(NodeId node, std::uint64_t incarnation) const;
  bool is_voter(NodeId node) const;
  bool is_observer(NodeId node) const;
  std::size_t majority() const { return voters.size() / 2 + 1; }
  std::size_t hosted_count(NodeId node) const;
  /// Members that may host: all but the observers.
  std::size_t host_count() const;
  /// Each host once, in the order of the tori: the holders when nothing is missing.
  std::vector<NodeId> distinct_hosts() const;
  /// No node hosts two tori.
  bool hosts_differ() const { return hosts[0] != hosts[1] && hosts[1] != hosts[2] && hosts[2] != hosts[0]; }
};

/// How many of `hosts` different hosts hold everything between them: all but one, since whatever one host knows and has
/// promised, another host knows too.
constexpr std::uint32_t holders_needed_of(std::size_t hosts) {
  return hosts < 2 ? 1 : static_cast<std::uint32_t>(hosts - 1);
}

/// Canonical bytes, for agreement and for the data directory.
void encode_view(const View& view, Bytes& out);
/// Bounds every count before it allocates; a view whose hosts are no members, with 2 voters, or in which an observer hosts, holds or
/// votes is kMalformed.
Result<View> decode_view(ByteReader& reader);

}  // namespace rse
