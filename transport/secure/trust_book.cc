#include "transport/secure/trust_book.h"

#include <algorithm>

#include "transport/clock.h"
#include "transport/handshake.h"

namespace rse {
namespace {

constexpr std::uint64_t kSkewNoticedSeconds = 60;
constexpr const char* kNewTicket = "; make a new ticket on a member: rse ticket create";
constexpr const char* kTicketRefused = "the ticket was refused by ";
constexpr const char* kRevoked = ": its key has been revoked";

std::string skew_text(std::uint64_t peer, std::uint64_t own) {
  const std::uint64_t apart = std::max(peer, own) - std::min(peer, own);
  if (apart < kSkewNoticedSeconds) return {};
  return "; the clock of the joining machine is " + std::to_string(apart) + " s " + (peer < own ? "behind" : "ahead") +
         ": set both clocks";
}

/// Empty: the ticket is good.
std::string judge_ticket(const TrustBook& book, const PeerProof& proof, std::uint64_t now) {
  const TicketRecord* record = book.trust.find_ticket(proof.ticket);
  const std::string by = kTicketRefused + ("cluster " + hex_id(book.cluster.raw)) + ": ";
  if (!record || !same_digest(record->secret, proof.ticket_secret)) return by + "it is not known here" + kNewTicket;
  if (record->revoked) return by + "it has been revoked" + kNewTicket;
  if (record->uses_left == 0) return by + "it has been used" + kNewTicket;
  if (now > record->expires) {
    return by + "it expired at " + time_text(record->expires) + ", and here it is " + time_text(now) +
           skew_text(proof.clock, now) + kNewTicket;
  }
  return {};
}

}  // namespace

PublicKey TrustBook::cluster_key() const {
  if (trust.has_seed()) {
    SecretKey seed;
    seed.bytes = trust.seed;
    return public_key_of(seed);
  }
  return ticket ? ticket->cluster_key : PublicKey{};
}

Verdict judge_peer(const TrustBook& book, const PeerProof& proof, const std::string& address, std::uint64_t now) {
  if (proof.cluster.raw != 0 && book.cluster.raw != 0 && proof.cluster != book.cluster) {
    return {"cannot join " + address + ": it runs cluster " + hex_id(proof.cluster.raw) + ", this data directory is of " +
                hex_id(book.cluster.raw) + "; use an empty --data-dir",
            0};
  }
  if (book.trust.is_revoked(proof.key)) {
    return {"refused " + address + kRevoked + " in cluster " + hex_id(book.cluster.raw) +
                " (rse forget); to use that machine again, give it an empty --data-dir and a new ticket",
            0};
  }
  if (proof.key == book.key.shared()) return {};  // ourselves, or a copy of us: judge_hello() tells which
  if (book.trust.is_admitted(proof.key) || proof.knows_cluster) return {};
  if (!book.trust.has_seed()) {  // joining: only the cluster of the ticket will do
    const bool other = book.ticket && proof.cluster.raw != 0 && proof.cluster != book.ticket->cluster;
    if (other) {
      return {"cannot join " + address + ": it runs cluster " + hex_id(proof.cluster.raw) + ", the ticket is of " +
                  hex_id(book.ticket->cluster.raw) + "; dial a node of that cluster",
              0};
    }
    if (!book.ticket) {
      return {"an encrypted node of cluster " + hex_id(proof.cluster.raw) + " answers at " + address + "; " + kTakesTicket +
                  " (on a member: rse ticket create)",
              0};
    }
    return {"cannot join " + address + ": it does not prove the cluster key of the ticket; dial a member of the cluster, and "
            "if it is one, make a new ticket (rse ticket create): a node may have been forgotten since",
            0};
  }
  if (proof.ticket == 0) {
    return {"refused " + address + ": its key is not known to cluster " + hex_id(book.cluster.raw) +
                "; start it with a ticket (on a member: rse ticket create)",
            0};
  }
  std::string why = judge_ticket(book, proof, now);
  if (!why.empty()) return {std::move(why), 0};
  return {{}, proof.ticket};
}

std::string judge_node(const TrustBook& book, NodeId node, const PublicKey& key, const std::string& address) {
  const PublicKey* pinned = book.trust.key_of(node);
  if (!pinned || *pinned == key) return {};
  return "refused " + address + ": it says it is node " + hex_id(node.raw) + " and has another key than that node; if its data "
         "directory was lost in part, give it an empty --data-dir and a ticket";
}

bool still_trusted(const TrustBook& book, const PeerProof& proof) {
  if (book.trust.is_revoked(proof.key)) return false;
  if (!book.trust.has_seed() || book.trust.is_admitted(proof.key)) return true;
  if (proof.ticket == 0) return proof.knows_cluster;
  const TicketRecord* record = book.trust.find_ticket(proof.ticket);
  return record && !record->revoked && record->uses_left > 0;
}

void show(const TrustBook& book, Hello& hello) {
  hello.key = book.key.shared();
  const bool joins = !book.trust.has_seed() && book.ticket;
  hello.ticket = joins ? book.ticket->id : 0;
  hello.ticket_secret = joins ? digest_of_secret(book.ticket->secret) : Digest256{};
}

PeerProof shown_by(const TrustBook& book, const Hello& hello) {
  PeerProof proof{.cluster = hello.cluster, .clock = unix_seconds(), .key = hello.key};
  const ClusterId own = book.cluster.raw == 0 && book.ticket ? book.ticket->cluster : book.cluster;
  proof.knows_cluster = hello.ticket == 0 && own.raw != 0 && hello.cluster == own;
  proof.ticket = hello.ticket;
  proof.ticket_secret = hello.ticket_secret;
  return proof;
}

bool is_revocation(const std::string& refusal) {
  const std::size_t answers = refusal.find(kAnswers);  // and is not what this node has said of another
  return answers != std::string::npos && refusal.find(kRevoked, answers) != std::string::npos;
}

bool is_other_cluster(const std::string& refusal) { return refusal.find("it runs cluster") != std::string::npos; }

bool is_final_refusal(const std::string& refusal) {
  return is_other_cluster(refusal) || is_revocation(refusal) ||
         (refusal.find(kTicketRefused) != std::string::npos && refusal.find("not known here") == std::string::npos);
}

}  // namespace rse
