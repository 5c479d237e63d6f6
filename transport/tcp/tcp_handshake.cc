// How a connection becomes the link with a peer: hello, claim, grant (transport/handshake.h has the rules).
#include <asio/error.hpp>

#include "transport/codec/codec.h"
#include "transport/tcp/address.h"
#include "transport/tcp/tcp_core.h"

namespace rse {

using asio::ip::tcp;

namespace {

/// Peers remembered, linked or not: forgetting one that is down costs its statistics and the proof of its death.
constexpr std::size_t kPeersMax = 256;
constexpr const char* kBadBytes = "it sent what is no handshake of ours";

}  // namespace

void TcpCore::on_frame(Session& session, std::span<const std::byte> frame) {
  // A second hello says why there will be no link.
  if (session.phase != SessionPhase::kUp && is_hello(frame)) return on_hello(session, frame);
  switch (session.phase) {
    case SessionPhase::kHello: return on_hello(session, frame);
    case SessionPhase::kClaim: return on_claim(session, frame);
    case SessionPhase::kGrant: return on_grant(session, frame);
    case SessionPhase::kUp: break;
  }
  if (!session.taken) {
    session.taken = true;
    session.set_time_limit({});
  }
  if (frame.empty()) return;
  const NodeId node = session.peer.self.node;
  ++peers_[node].stats.messages_received;
  callbacks_.on_message(node, frame);
}

void TcpCore::on_time_limit(Session& session) {
  const std::string limit = std::to_string(handshake_limit_.count()) + " ms";
  const auto keep = session.self();
  session.close();
  on_closed(session, asio::error::timed_out, "it did not finish the handshake within " + limit);
}

void TcpCore::on_hello(Session& session, std::span<const std::byte> frame) {
  auto hello = decode_hello(frame);
  const bool second = session.phase != SessionPhase::kHello && hello && hello->refusal.empty();
  if (!hello || second) return refuse(session, "cannot talk to " + session.address + ": " + kBadBytes + "; is it an rse-node?");
  if (!hello->refusal.empty()) return refuse(session, told_text(session.address, hello->refusal));
  std::string why;
  hello->key = {};
  hello->ticket = 0;
  if (session.channel()) {
    hello->key = session.channel()->peer().key;
    hello->ticket = session.channel()->verdict().ticket;
    why = judge_node(*trust_, hello->self.node, hello->key, session.address);
    if (!why.empty()) return session.outgoing ? refuse(session, why) : refuse_and_tell(session, why);
  }
  switch (judge_hello(hello_, *hello, session.address, why)) {
    case HelloVerdict::kWelcome: break;
    case HelloVerdict::kRefused: return refuse(session, why);
    case HelloVerdict::kOurselves: {
      if (session.dialer) {
        undial(session.dialer->address());
        own_addresses_.insert(session.dialer->address());
      }
      return forget(session);
    }
  }
  session.peer = *hello;
  const NodeId node = hello->self.node;
  if (hello_.self.node < node) {
    session.phase = SessionPhase::kClaim;
    return;
  }
  const std::uint64_t newest = newest_incarnation(node);
  if (hello->self.incarnation < newest) return refuse(session, old_life_text(*hello, session.address, newest));
  session.phase = SessionPhase::kGrant;
  const auto known = peers_.find(node);
  LinkClaim claim;
  if (known != peers_.end() && known->second.link && known->second.incarnation == hello->self.incarnation) {
    claim.link = known->second.link_number;
  }
  Bytes bytes;
  encode_link_claim(claim, bytes);
  session.send(bytes);
}

void TcpCore::on_claim(Session& session, std::span<const std::byte> frame) {
  const auto claim = decode_link_claim(frame);
  if (!claim) return refuse(session, "cannot talk to " + session.address + ": " + kBadBytes + "; is it an rse-node?");
  const NodeId node = session.peer.self.node;
  LinkInUse in_use;
  const auto known = peers_.find(node);
  if (known != peers_.end() && known->second.link) {
    in_use = {known->second.link->link, known->second.incarnation, known->second.link->taken};
  }
  const std::uint64_t newest = newest_incarnation(node);
  LinkGrant refusal;
  switch (judge_claim(in_use, newest, session.peer.self.incarnation, *claim)) {
    case ClaimVerdict::kGrant:
    case ClaimVerdict::kReplace:
    case ClaimVerdict::kNewLife:
      if (make_room_for(node)) return grant(session);
      refusal.refusal = "refused by " + hello_.self.name + ": it has too many links; remove nodes that are not needed";
      break;
    case ClaimVerdict::kDuplicate: break;
    case ClaimVerdict::kOldLife: refusal.refusal = old_life_text(session.peer, session.address, newest); break;
  }
  Bytes bytes;
  encode_link_grant(refusal, bytes);
  session.send(bytes);
  const auto keep = session.self();
  const std::string address = session.address;
  sessions_.erase(keep);
  session.detach();
  session.close_after_flush();
  after_failed_handshake(session);
  if (!refusal.refusal.empty()) report_failure(address, refusal.refusal);
}

void TcpCore::grant(Session& session) {
  session.link = ++grant_count_;
  Bytes bytes;
  encode_link_grant({session.link, {}}, bytes);
  session.send(bytes);
  session.set_time_limit(handshake_limit_);  // until the peer has taken it
  bring_up(session);
}

void TcpCore::on_grant(Session& session, std::span<const std::byte> frame) {
  const auto grant = decode_link_grant(frame);
  if (!grant) return refuse(session, "cannot talk to " + session.address + ": " + kBadBytes + "; is it an rse-node?");
  if (grant->link == 0) return refuse(session, told_text(session.address, grant->refusal));
  const NodeId node = session.peer.self.node;
  const std::uint64_t newest = newest_incarnation(node);
  const std::uint64_t incarnation = session.peer.self.incarnation;
  if (incarnation < newest) return refuse(session, old_life_text(session.peer, session.address, newest));
  const auto known = peers_.find(node);
  const bool overtaken = known != peers_.end() && known->second.link && known->second.incarnation == incarnation &&
                         known->second.link_number > grant->link;
  if (overtaken) return refuse(session, {});
  if (!make_room_for(node)) {
    return refuse(session, "refused " + session.address + ": this node has too many links; remove nodes not needed");
  }
  session.link = grant->link;
  session.taken = true;
  session.set_time_limit({});
  session.send(std::span<const std::byte>{});
  bring_up(session);
}

/// From here on this connection is the link. The callbacks come last: they may do anything.
void TcpCore::bring_up(Session& session) {
  const auto keep = session.self();
  const NodeId node = session.peer.self.node;
  const std::uint64_t incarnation = session.peer.self.incarnation;
  Peer& peer = peers_[node];
  const bool new_life = peer.incarnation != incarnation;
  const auto old = peer.link;
  const bool old_life_ends = new_life && (old || (peer.link_number != 0 && !peer.death_reported));
  const bool silent = old && !new_life;
  if (old) forget(*old);
  if (new_life) peer.endpoints.clear();
  if (peer.link_number != 0) ++peer.stats.reconnects;
  session.phase = SessionPhase::kUp;
  session.set_frame_bytes_max(kFrameBytesMax);
  peer.link = keep;
  peer.link_number = session.link;
  peer.incarnation = incarnation;
  peer.death_reported = false;
  peer.stats.address = to_text(session.remote());
  learn_endpoints(node, session);
  for (const auto& [address, dialer] : dialers_) {
    if (dialer == session.dialer || dialer->node() == node) dialer->succeeded(node);
  }
  const bool down_unreported = std::exchange(peer.down_unreported, false);
  const Hello hello = session.peer;
  if (old_life_ends) {
    callbacks_.on_down(node, true);
  } else if (down_unreported) {
    callbacks_.on_down(node, false);
  }
  if (!silent && !stopped_ && linked(node)) callbacks_.on_up(hello);
}

void TcpCore::learn_endpoints(NodeId node, const Session& session) {
  Peer& peer = peers_[node];
  if (session.outgoing && session.remote().port() != 0) peer.endpoints.insert(session.remote());
  const auto host = session.remote().address();
  for (const std::string& address : session.peer.self.addresses) {
    const auto parsed = parse_host_port(address);
    if (!parsed) continue;
    const auto endpoint = numeric_endpoint(*parsed);
    if (endpoint && endpoint->address() == host) peer.endpoints.insert(*endpoint);
    if (endpoint || parsed->host.empty()) continue;
    resolver_.async_resolve(parsed->host, std::to_string(parsed->port),
                            [self = shared_from_this(), node, host, incarnation = peer.incarnation](
                                const std::error_code& error, const tcp::resolver::results_type& found) {
                              const auto known = self->peers_.find(node);
                              if (error || self->stopped_ || known == self->peers_.end()) return;
                              if (known->second.incarnation != incarnation) return;
                              for (const auto& entry : found) {
                                if (entry.endpoint().address() == host) known->second.endpoints.insert(entry.endpoint());
                              }
                            });
  }
}

void TcpCore::refuse(Session& session, const std::string& why) {
  const auto keep = session.self();
  const std::string address = session.address;
  forget(session);
  after_failed_handshake(session);
  if (why.empty()) return;
  if (session.outgoing) {
    report_failure(address, why);
  } else {
    report_stranger(session.host, address, why);
  }
}

std::uint64_t TcpCore::newest_incarnation(NodeId node) const {
  const auto known = peers_.find(node);
  return known == peers_.end() ? 0 : known->second.incarnation;
}

bool TcpCore::make_room_for(NodeId node) {
  if (peers_.size() < kPeersMax || peers_.contains(node)) return true;
  for (auto peer = peers_.begin(); peer != peers_.end(); ++peer) {
    if (peer->second.link || peer->second.down_unreported) continue;
    peers_.erase(peer);
    return true;
  }
  return false;
}

}  // namespace rse
