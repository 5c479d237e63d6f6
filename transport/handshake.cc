#include "transport/handshake.h"

namespace rse {
namespace {

std::string range_of(const Hello& hello) {
  return std::to_string(hello.protocol_min) + " to " + std::to_string(hello.protocol_max);
}

}  // namespace

std::string told_text(const std::string& address, const std::string& refusal) {
  if (refusal.empty()) return {};
  std::string text = address + kAnswers + refusal;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string nothing_listens_text(const std::string& address) {
  return "cannot reach " + address + ": nothing listens there; start rse-node on that machine or correct the address";
}

std::string no_answer_text(const std::string& address) {
  return "cannot reach " + address + ": no answer; check that the machine is up and that no firewall is between";
}

std::string hex_id(std::uint64_t id) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; id >>= 4) text[i] = "0123456789abcdef"[id & 15];
  return text;
}

HelloVerdict judge_hello(const Hello& own, const Hello& peer, const std::string& address, std::string& why) {
  if (peer.protocol_min > own.protocol_max || peer.protocol_max < own.protocol_min) {
    const bool we_are_older = own.protocol_max < peer.protocol_min;
    why = "cannot talk to " + address + ": it speaks protocol versions " + range_of(peer) + ", this node " + range_of(own) +
          "; install the newer rse-node on " + (we_are_older ? "this machine" : "that machine");
    return HelloVerdict::kRefused;
  }
  if (peer.self.node == own.self.node) {
    if (peer.self.incarnation == own.self.incarnation) return HelloVerdict::kOurselves;
    why = "cannot talk to " + address + ": it has the same node id as this node (" + hex_id(own.self.node.raw) +
          "), so one data directory is a copy of the other; start one of the two with an empty --data-dir";
    return HelloVerdict::kRefused;
  }
  if (own.cluster.raw != 0 && peer.cluster.raw != 0 && own.cluster != peer.cluster) {
    why = "cannot join " + address + ": it runs cluster " + hex_id(peer.cluster.raw) + ", this data directory is of " +
          hex_id(own.cluster.raw) + "; use an empty --data-dir";
    return HelloVerdict::kRefused;
  }
  if (own.cut_epochs != peer.cut_epochs) {
    why = "cannot talk to " + address + ": its tori take a cut every " + std::to_string(peer.cut_epochs) + " epochs, those of this node every " +
          std::to_string(own.cut_epochs) + "; start both with the same --cut-epochs";
    return HelloVerdict::kRefused;
  }
  return HelloVerdict::kWelcome;
}

ClaimVerdict judge_claim(const LinkInUse& link, std::uint64_t newest, std::uint64_t incarnation, const LinkClaim& claim) {
  if (incarnation < newest) return ClaimVerdict::kOldLife;
  if (link.number == 0) return ClaimVerdict::kGrant;
  if (incarnation > link.incarnation) return ClaimVerdict::kNewLife;
  // A grant that is still on its way looks to the peer like no link; replacing it would lose what follows it.
  if (claim.link == link.number || !link.taken) return ClaimVerdict::kDuplicate;
  return ClaimVerdict::kReplace;
}

std::string old_life_text(const Hello& peer, const std::string& address, std::uint64_t newest) {
  return "refused " + address + ": it is an older life (" + std::to_string(peer.self.incarnation) + ") of node " +
         hex_id(peer.self.node.raw) + ", whose life " + std::to_string(newest) +
         " has been here; stop the older process, or start it with an empty --data-dir";
}

}  // namespace rse
