// Whom this node trusts, and the verdict on a peer that has proved its key: by pinned key, by the cluster key, or by a ticket.
// Size: that of a view's trust. Threads: none. Memory: copies. Errors: a sentence that names the cause: another cluster, a
// revoked key, a ticket that is expired, used, revoked or unknown, a clock that is wrong.
#pragma once

#include <memory>
#include <string>

#include "torus/braid/trust.h"
#include "transport/secure/keys.h"
#include "transport/secure/ticket.h"

namespace rse {

struct Hello;  // transport/transport.h

struct TrustBook {
  explicit TrustBook(const NodeKey& own) : key(own) {}
  NodeKey key;
  ClusterId cluster;             // 0: of none yet
  Trust trust;                   // of the newest view; empty while joining
  std::optional<Ticket> ticket;  // that this node joins with
  /// None: nothing to hold a peer's proof against.
  PublicKey cluster_key() const;
};

/// What a peer's handshake has shown.
struct PeerProof {
  ClusterId cluster;            // that it says it is of; 0: none
  std::uint64_t clock = 0;      // seconds since 1970, by its clock
  PublicKey key;                // proved by the handshake
  bool knows_cluster = false;   // has signed with the key that is ours
  std::uint64_t ticket = 0;     // 0: has shown none
  Digest256 ticket_secret;
};

struct Verdict {
  std::string refusal;       // empty: trusted
  std::uint64_t ticket = 0;  // trusted only because of this one: it may ask to join, nothing else
};
/// `now`: seconds since 1970. `address`: where the peer is, for the sentence.
Verdict judge_peer(const TrustBook& book, const PeerProof& proof, const std::string& address, std::uint64_t now);
/// The sentence on a node that shows another key than the one pinned to its id; empty: it is the right one.
std::string judge_node(const TrustBook& book, NodeId node, const PublicKey& key, const std::string& address);
/// Whether a link that was trusted with this proof still is, now that `book` is another one.
bool still_trusted(const TrustBook& book, const PeerProof& proof);
/// Shared memory, where nothing is proved and nobody but its owner is heard: what our hello says of us ...
void show(const TrustBook& book, Hello& hello);
/// ... and what a peer's is taken for. A peer that shows no ticket is of the cluster that it names.
PeerProof shown_by(const TrustBook& book, const Hello& hello);
/// What a node without a ticket says of an encrypted one that it does not know.
inline constexpr const char* kTakesTicket = "joining takes a ticket";
/// A refusal that trying again will not change.
bool is_final_refusal(const std::string& refusal);
bool is_other_cluster(const std::string& refusal);
/// A member that has proved itself says that this node has been forgotten.
bool is_revocation(const std::string& refusal);

}  // namespace rse
