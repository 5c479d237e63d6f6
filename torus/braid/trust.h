// Whom a cluster trusts: the part of a view that pins keys and counts the uses of tickets. Being part of the view, it is
// agreed once per number by a majority, is on every member's disk, and a ticket's use is spent in the very view that admits
// a node: never twice. Why this is sound: docs/internals/security.md.
// Size: each list has its bound. Threads: none. Errors: returned. Keys and secrets never leave in a text form.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/digest.h"
#include "torus/base/public_key.h"
#include "torus/base/strong.h"

namespace rse {

inline constexpr std::size_t kAdmittedMax = 64;
inline constexpr std::size_t kRevokedMax = 64;   // the oldest goes: then its key is merely unknown, and refused all the same
inline constexpr std::size_t kTicketsMax = 32;
inline constexpr std::uint32_t kTicketUsesMax = 32;
/// Tickets that are over stay listed so long, so that who comes too late is told why.
inline constexpr std::uint64_t kTicketMemorySeconds = 24 * 3600;

/// Encoded: the seed, three counts and the lists.
inline constexpr std::size_t kTrustBytesMax = 32 + 12 + kAdmittedMax * (8 + 32) + kRevokedMax * 32 + kTicketsMax * (8 + 32 + 8 + 4 + 4 + 1);

/// A node and the key that it has to prove, whether it is up or not.
struct Admitted {
  NodeId node;
  PublicKey key;
  friend bool operator==(const Admitted&, const Admitted&) = default;
};

struct TicketRecord {
  std::uint64_t id = 0;  // random, never 0
  Digest256 secret;      // digest of the secret that the bearer shows
  std::uint64_t expires = 0;  // seconds since 1970, UTC; the shell's clock judges, never the braid
  std::uint32_t uses = 0;
  std::uint32_t uses_left = 0;
  bool revoked = false;
  /// Of no use to anyone, not even to say why.
  bool is_over(std::uint64_t now) const { return now > expires && now - expires > kTicketMemorySeconds; }
  friend bool operator==(const TicketRecord&, const TicketRecord&) = default;
};

/// Something that an operator wants of the next view.
struct TrustChange {
  enum class Kind : std::uint8_t { kAddTicket = 1, kRevokeTicket = 2, kForget = 3 };
  Kind kind{};
  std::uint64_t now = 0;  // seconds since 1970, by the asker's clock: what expired long ago goes
  TicketRecord ticket;    // kAddTicket; kRevokeTicket: its id
  Admitted forget;        // kForget
  std::array<std::uint8_t, 32> seed{};  // kForget: random, makes the new cluster key, as the forgotten node knows the old one
  friend bool operator==(const TrustChange&, const TrustChange&) = default;
};

struct Trust {
  /// Makes the cluster key (Ed25519), which members prove to newcomers. Secret: only nodes that are admitted have it. All zero:
  /// this is what others are told, or the cluster is open.
  std::array<std::uint8_t, 32> seed{};
  std::vector<Admitted> admitted;
  std::vector<PublicKey> revoked;
  std::vector<TicketRecord> tickets;
  friend bool operator==(const Trust&, const Trust&) = default;

  /// An open cluster, without keys: everyone is admitted.
  bool open() const { return admitted.empty() && !has_seed(); }
  bool has_seed() const;
  /// nullptr: not admitted.
  const PublicKey* key_of(NodeId node) const;
  bool is_admitted(const PublicKey& key) const;
  bool is_revoked(const PublicKey& key) const;
  const TicketRecord* find_ticket(std::uint64_t id) const;
  /// Whether admit() would: the node is pinned with this key, or it is new and its ticket has a use left.
  bool may_admit(NodeId node, const PublicKey& key, std::uint64_t ticket) const;
  /// Pins a new node's key and spends a use of its ticket. False: nothing has changed, kAdmittedMax are pinned perhaps.
  bool admit(NodeId node, const PublicKey& key, std::uint64_t ticket);
  /// False: it holds already, or there is no room.
  bool apply(const TrustChange& change);
  bool holds(const TrustChange& change) const;
};

void encode_trust(const Trust& trust, ByteWriter& writer);
/// Bounds every count before it allocates; the reader fails on what is not canonical.
Trust decode_trust(ByteReader& reader);
void encode_trust_change(const TrustChange& change, Bytes& out);
std::optional<TrustChange> decode_trust_change(std::span<const std::byte> bytes);

}  // namespace rse
