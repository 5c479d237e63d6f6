// How a session becomes the link with a peer: cookie, secure channel, then hello, claim, grant (transport/handshake.h).
#include <algorithm>

#include "torus/braid/messages.h"
#include "transport/clock.h"
#include "transport/codec/codec.h"
#include "transport/udp/udp_core.h"

namespace rse {

namespace {

constexpr std::size_t kPeersMax = 256;
constexpr Duration kAgainStart = milliseconds(100);
constexpr Duration kAgainMax = milliseconds(500);
constexpr const char* kBadBytes = "it sent what is no handshake of ours";
constexpr const char* kOtherMode = ": it does not speak RSE's encrypted protocol, or only that one; give both nodes --insecure or neither";

std::span<const std::byte> address_bytes(const UdpEndpoint& endpoint, std::array<std::byte, 23>& out) {
  std::memcpy(out.data(), endpoint.address.data(), 16);
  std::memcpy(out.data() + 16, &endpoint.scope, 4);
  std::memcpy(out.data() + 20, &endpoint.port, 2);
  out[22] = std::byte{endpoint.v6};
  return out;
}

DatagramLink::Options link_options(bool encrypted) {
  DatagramLink::Options options;
  options.message_bytes_max = kMessageBytesMax;
  options.overhead = kOuterHeaderBytes + (encrypted ? kRecordTagBytes : 0);
  return options;
}

}  // namespace

UdpCore::SessionPtr UdpCore::new_session(UdpPhase phase, std::shared_ptr<UdpPort> port, const Endpoint& remote,
                                         std::string address) {
  auto session = std::make_shared<UdpSession>();
  const SecretKey random = random_secret();
  std::copy_n(reinterpret_cast<const char*>(random.bytes.data()), sizeof session->id, reinterpret_cast<char*>(&session->id));
  session->phase = phase;
  session->number = ++session_count_;
  session->port = std::move(port);
  session->remote = remote;
  session->host = system_.host(remote);
  session->address = std::move(address);
  session->limit = system_.now() + handshake_limit_;
  sessions_[session->id] = session;
  return session;
}

/// As TcpCore: the oldest unfinished handshake of the host that has most of them gives way.
void UdpCore::make_room_for_handshake(const std::string& host) {
  std::map<std::string, std::vector<SessionPtr>> pending;
  std::size_t count = 0;
  for (const auto& [id, session] : sessions_) {
    if (session->outgoing || session->phase == UdpPhase::kUp) continue;
    pending[session->host].push_back(session);
    ++count;
  }
  auto fullest = pending.find(host);
  if (fullest == pending.end() || fullest->second.size() < kUdpHostHandshakesMax) {
    if (count < kUdpHandshakesMax) return;
    fullest = std::max_element(pending.begin(), pending.end(),
                               [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  }
  const auto oldest = *std::min_element(fullest->second.begin(), fullest->second.end(),
                                        [](const auto& a, const auto& b) { return a->number < b->number; });
  report_stranger(*oldest, "too many unfinished handshakes from " + fullest->first);
  forget(oldest, false);
}

// --- The outer handshake. ---

void UdpCore::send_init(Session& session) {
  session.again = handshake_datagram({.type = OuterType::kInit,
                                      .from = session.id,
                                      .mode = trust_ ? UdpMode::kEncrypted : UdpMode::kOpen,
                                      .cookie = session.cookie,
                                      .message = session.first_message});
  session.again_wait = kAgainStart;
  send_again(session, system_.now());
}

void UdpCore::send_again(Session& session, Instant now) {
  session.port->send(session.remote, session.again);
  session.again_at = now + session.again_wait;
  session.again_wait = std::min(Duration{2 * session.again_wait.raw}, kAgainMax);
}

void UdpCore::on_init(UdpPort& port, const Endpoint& from, const HandshakeDatagram& init) {
  const Instant now = system_.now();
  std::array<std::byte, 23> room;
  const auto address = address_bytes(from, room);
  if (!cookies_.knows(init.cookie, address, init.from, now)) {
    const Cookie cookie = cookies_.cookie(address, init.from, now);
    return port.send(from, handshake_datagram({.type = OuterType::kRetry, .to = init.from, .cookie = cookie}));
  }
  for (const auto& [id, known] : sessions_) {
    if (known->outgoing || known->peer_id != init.from || known->remote != from) continue;
    if (known->phase == UdpPhase::kAccepted) port.send(from, known->again);  // ours was lost
    return;
  }
  const UdpMode mode = trust_ ? UdpMode::kEncrypted : UdpMode::kOpen;
  UdpSession stranger;
  stranger.host = system_.host(from);
  stranger.address = kUdpPrefix + system_.text(from);
  if (!gate_.admit(stranger.host, now)) return report_stranger(stranger, "too many handshakes from " + stranger.host);
  if (init.mode != mode) {
    port.send(from, handshake_datagram({.type = OuterType::kAccept, .to = init.from, .mode = mode}));
    return report_stranger(stranger, "cannot talk to " + stranger.address + kOtherMode);
  }
  make_room_for_handshake(stranger.host);
  const SessionPtr session = new_session(UdpPhase::kAccepted, port.shared_from_this(), from, stranger.address);
  session->peer_id = init.from;
  Bytes reply;
  if (trust_) {
    session->channel = std::make_unique<SecureChannel>(NoiseRole::kResponder, trust_, session->address);
    session->channel->on_handshake(init.message, unix_seconds(), reply);
    if (session->channel->state() != SecureChannel::State::kHandshake || reply.empty()) {
      return refuse(session, "cannot talk to " + session->address + ": " + kBadBytes + "; is it an rse-node?");
    }
  }
  session->again = handshake_datagram(
      {.type = OuterType::kAccept, .to = session->peer_id, .from = session->id, .mode = mode, .message = reply});
  port.send(from, session->again);
  arm(session->limit);
}

void UdpCore::on_accept(const SessionPtr& session, const HandshakeDatagram& accept) {
  if (session->phase != UdpPhase::kInit) return;
  if (accept.mode != (trust_ ? UdpMode::kEncrypted : UdpMode::kOpen)) {
    return refuse(session, "cannot talk to " + session->address + kOtherMode);
  }
  Bytes reply;
  if (session->channel) {
    session->channel->on_handshake(accept.message, unix_seconds(), reply);
    if (session->channel->state() != SecureChannel::State::kOpen) {
      const std::string& why = session->channel->why();
      const bool sentence = session->channel->verdict().refusal == why && !why.empty();
      return refuse(session, sentence ? why : "cannot talk to " + session->address + ": " + (why.empty() ? kBadBytes : why));
    }
  }
  session->peer_id = accept.from;
  session->again = handshake_datagram({.type = OuterType::kFinish, .to = session->peer_id, .message = reply});
  session->again_wait = kAgainStart;
  send_again(*session, system_.now());
  open_link(session);
}

void UdpCore::on_finish(const SessionPtr& session, const HandshakeDatagram& finish) {
  if (session->phase == UdpPhase::kRefused) return session->port->send(session->remote, session->again);
  if (session->phase != UdpPhase::kAccepted) return;
  if (session->channel) {
    Bytes none;
    session->channel->on_handshake(finish.message, unix_seconds(), none);
    if (session->channel->state() != SecureChannel::State::kOpen) {
      return refuse(session, "cannot talk to " + session->address + ": " + session->channel->why());
    }
    const std::string refusal = session->channel->verdict().refusal;
    if (!refusal.empty()) return refuse_with_hello(*session, refusal);
  }
  open_link(session);
}

/// From here on records go both ways. Until they have been admitted, peers can send what a handshake needs, no more.
void UdpCore::open_link(const SessionPtr& session) {
  if (session->channel) {
    auto ends = session->channel->take_datagram_ends();
    session->sealer.emplace(ends.sealer);
    session->opener.emplace(ends.opener);
  }
  if (!session->outgoing) session->again.clear();
  session->phase = UdpPhase::kHello;
  session->heard = session->sent = system_.now();
  const std::weak_ptr<UdpSession> weak = session;
  const auto frames = [this, weak](bool at_once) {
    return [this, weak, at_once](std::span<const std::byte> frame) {
      const SessionPtr strong = weak.lock();
      if (strong && !strong->closed && !stopped_) on_frame(strong, frame, at_once);
    };
  };
  session->link.emplace(link_options(trust_ != nullptr), frames(false), frames(true));
  session->link->set_message_bytes_max(kHelloBytesMax);
  Bytes bytes;
  encode_hello(hello_, bytes);
  put_frame(*session, bytes);
}

/// Says why, in a record that is sent again for each finish that comes, and keeps nothing else for it.
void UdpCore::refuse_with_hello(Session& session, const std::string& refusal) {
  auto ends = session.channel->take_datagram_ends();
  DatagramLink link(link_options(true), [](std::span<const std::byte>) {});
  Hello hello = hello_;
  hello.refusal = refusal;
  Bytes frame;
  encode_hello(hello, frame);
  link.push_unreliable(frame);
  std::array<std::byte, kPacketBytesMax> room;
  PacketWriter packet(room);
  const auto number = link.poll_packet(system_.now(), packet);
  session.phase = UdpPhase::kRefused;
  session.again.resize(kOuterHeaderBytes + packet.size() + kRecordTagBytes);
  write_record_header(session.again.data(), {session.peer_id, number.value_or(0)});
  ends.sealer.seal(packet.bytes(), session.again.data() + kOuterHeaderBytes);
  session.again_at = {};
  session.port->send(session.remote, session.again);
  report_stranger(session, refusal);
}

// --- The inner handshake: as over TCP. ---

/// The peer, which has opened the session, ends it when it has read why; or the limit does.
void UdpCore::refuse_and_tell(Session& session, const std::string& refusal) {
  Hello hello = hello_;
  hello.refusal = refusal;
  Bytes frame;
  encode_hello(hello, frame);
  put_frame(session, frame);
  session.phase = UdpPhase::kRefused;
  report_stranger(session, refusal);
}

void UdpCore::put_frame(Session& session, std::span<const std::byte> frame) {
  session.link->push(frame);
  mark(session);
}

void UdpCore::on_frame(const SessionPtr& session, std::span<const std::byte> frame, bool at_once) {
  // A second hello says why there will be no link.
  const bool between = session->phase == UdpPhase::kClaim || session->phase == UdpPhase::kGrant;
  if (between && is_hello(frame)) return on_hello(session, frame);
  switch (session->phase) {
    case UdpPhase::kInit:
    case UdpPhase::kAccepted:
    case UdpPhase::kRefused: return;
    case UdpPhase::kHello: return on_hello(session, frame);
    // What is sent at once may overtake the handshake of the one who sends it.
    case UdpPhase::kClaim: return at_once ? void() : on_claim(session, frame);
    case UdpPhase::kGrant: return at_once ? void() : on_grant(session, frame);
    case UdpPhase::kUp: break;
  }
  session->taken = true;
  session->limit = {};
  if (frame.empty()) return;
  const NodeId node = session->peer.self.node;
  ++peers_[node].stats.messages_received;
  callbacks_.on_message(node, frame);
}

void UdpCore::on_hello(const SessionPtr& session, std::span<const std::byte> frame) {
  auto hello = decode_hello(frame);
  const bool second = session->phase != UdpPhase::kHello && hello && hello->refusal.empty();
  if (!hello || second) return refuse(session, "cannot talk to " + session->address + ": " + kBadBytes + "; is it an rse-node?");
  if (!hello->refusal.empty()) return refuse(session, told_text(session->address, hello->refusal));
  std::string why;
  hello->key = {};
  hello->ticket = 0;
  if (session->channel) {
    hello->key = session->channel->peer().key;
    hello->ticket = session->channel->verdict().ticket;
    why = judge_node(*trust_, hello->self.node, hello->key, session->address);
    if (!why.empty()) return session->outgoing ? refuse(session, why) : refuse_and_tell(*session, why);
  }
  switch (judge_hello(hello_, *hello, session->address, why)) {
    case HelloVerdict::kWelcome: break;
    case HelloVerdict::kRefused: return refuse(session, why);
    case HelloVerdict::kOurselves: {
      if (session->dial) {
        const std::string address = session->dial->address;
        undial(address);
        own_addresses_.insert(address);
      }
      return forget(session, false);
    }
  }
  session->peer = *hello;
  const NodeId node = hello->self.node;
  if (session->dial) session->dial->node = node;
  if (hello_.self.node < node) {
    session->phase = UdpPhase::kClaim;
    return;
  }
  const std::uint64_t newest = newest_incarnation(node);
  if (hello->self.incarnation < newest) return refuse(session, old_life_text(*hello, session->address, newest));
  session->phase = UdpPhase::kGrant;
  const auto known = peers_.find(node);
  LinkClaim claim;
  if (known != peers_.end() && known->second.link && known->second.incarnation == hello->self.incarnation) {
    claim.link = known->second.link_number;
  }
  Bytes bytes;
  encode_link_claim(claim, bytes);
  put_frame(*session, bytes);
}

void UdpCore::on_claim(const SessionPtr& session, std::span<const std::byte> frame) {
  const auto claim = decode_link_claim(frame);
  if (!claim) return refuse(session, "cannot talk to " + session->address + ": " + kBadBytes + "; is it an rse-node?");
  const NodeId node = session->peer.self.node;
  LinkInUse in_use;
  const auto known = peers_.find(node);
  if (known != peers_.end() && known->second.link) {
    in_use = {known->second.link->grant, known->second.incarnation, known->second.link->taken};
  }
  const std::uint64_t newest = newest_incarnation(node);
  LinkGrant grant;
  switch (judge_claim(in_use, newest, session->peer.self.incarnation, *claim)) {
    case ClaimVerdict::kGrant:
    case ClaimVerdict::kReplace:
    case ClaimVerdict::kNewLife:
      if (make_room_for(node)) {
        grant.link = session->grant = ++grant_count_;
        break;
      }
      grant.refusal = "refused by " + hello_.self.name + ": it has too many links; remove nodes that are not needed";
      break;
    case ClaimVerdict::kDuplicate: break;
    case ClaimVerdict::kOldLife: grant.refusal = old_life_text(session->peer, session->address, newest); break;
  }
  Bytes bytes;
  encode_link_grant(grant, bytes);
  put_frame(*session, bytes);
  if (grant.link == 0) {
    session->phase = UdpPhase::kRefused;  // the peer ends it when it has read that, or the limit does
    if (!grant.refusal.empty()) report_stranger(*session, grant.refusal);
    return;
  }
  session->limit = system_.now() + handshake_limit_;  // until the peer has taken it
  bring_up(session);
}

void UdpCore::on_grant(const SessionPtr& session, std::span<const std::byte> frame) {
  const auto grant = decode_link_grant(frame);
  if (!grant) return refuse(session, "cannot talk to " + session->address + ": " + kBadBytes + "; is it an rse-node?");
  if (grant->link == 0) return refuse(session, told_text(session->address, grant->refusal));
  const NodeId node = session->peer.self.node;
  const std::uint64_t newest = newest_incarnation(node);
  const std::uint64_t incarnation = session->peer.self.incarnation;
  if (incarnation < newest) return refuse(session, old_life_text(session->peer, session->address, newest));
  const auto known = peers_.find(node);
  const bool overtaken = known != peers_.end() && known->second.link && known->second.incarnation == incarnation &&
                         known->second.link_number > grant->link;
  if (overtaken) return refuse(session, {});
  if (!make_room_for(node)) {
    return refuse(session, "refused " + session->address + ": this node has too many links; remove nodes not needed");
  }
  session->grant = grant->link;
  session->taken = true;
  session->limit = {};
  put_frame(*session, {});
  bring_up(session);
}

/// From here on this session is the link. The callbacks come last: they may do anything.
void UdpCore::bring_up(const SessionPtr& session) {
  const NodeId node = session->peer.self.node;
  const std::uint64_t incarnation = session->peer.self.incarnation;
  Peer& peer = peers_[node];
  const bool new_life = peer.incarnation != incarnation;
  const auto old = peer.link;
  const bool old_life_ends = new_life && (old || (peer.link_number != 0 && !peer.death_reported));
  const bool silent = old && !new_life;
  if (old) forget(old, true);
  if (peer.link_number != 0) ++peer.stats.reconnects;
  session->phase = UdpPhase::kUp;
  session->link->set_message_bytes_max(kMessageBytesMax);
  peer.link = session;
  peer.link_number = session->grant;
  peer.incarnation = incarnation;
  peer.death_reported = false;
  peer.stats.address = kUdpPrefix + system_.text(session->remote);
  for (const auto& [address, dial] : dials_) {
    if (dial != session->dial && dial->node != node) continue;
    dial->node = node;
    dial->under_way = false;
    dial->again_at = {};
  }
  const bool down_unreported = std::exchange(peer.down_unreported, false);
  const Hello hello = session->peer;
  if (old_life_ends) {
    callbacks_.on_down(node, true);
  } else if (down_unreported) {
    callbacks_.on_down(node, false);
  }
  if (!silent && !stopped_ && linked(node)) callbacks_.on_up(hello);
}

/// Ends a handshake; `why` empty: nothing that a person should know.
void UdpCore::refuse(const SessionPtr& session, const std::string& why) {
  const SessionPtr keep = session;
  forget(keep, true);
  if (const auto& dial = keep->dial; dial && !dial->stopped) {
    if (keep->peer.self.node.raw != 0 && linked(keep->peer.self.node)) {
      dial->node = keep->peer.self.node;
      dial->under_way = false;
    } else {
      retry(dial);
    }
  }
  if (why.empty()) return;
  if (keep->outgoing) {
    report_failure(keep->address, why);
  } else {
    report_stranger(*keep, why);
  }
}

std::uint64_t UdpCore::newest_incarnation(NodeId node) const {
  const auto known = peers_.find(node);
  return known == peers_.end() ? 0 : known->second.incarnation;
}

bool UdpCore::make_room_for(NodeId node) {
  if (peers_.size() < kPeersMax || peers_.contains(node)) return true;
  for (auto peer = peers_.begin(); peer != peers_.end(); ++peer) {
    if (peer->second.link || peer->second.down_unreported) continue;
    peers_.erase(peer);
    return true;
  }
  return false;
}

}  // namespace rse
