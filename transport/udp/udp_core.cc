// The transport's life outside handshakes: dialling, records, time, and what a silent link means.
#include "transport/udp/udp_core.h"

#include <algorithm>

#include "torus/base/assert.h"
#include "torus/braid/messages.h"

namespace rse {
namespace {

constexpr Duration kKeepAlive = milliseconds(250);    // without a packet of ours: a ping
constexpr Duration kSilenceMax = milliseconds(1500);  // without a packet of theirs, although pings were sent: the link is over
constexpr Duration kAskInterval = milliseconds(10);   // what is sent at once is not acknowledged: so often a ping goes with it
constexpr Duration kTimerStep = {20'000};             // pacing in steps smaller than this would only cost wake-ups
constexpr std::size_t kPacketsAtOnce = 256;
constexpr Duration kBackOffStart = milliseconds(5);
constexpr Duration kBackOffMax = milliseconds(1000);
constexpr Instant kNever{~std::uint64_t{0}};

std::uint64_t random_seed() {
  const SecretKey random = random_secret();
  std::uint64_t seed;
  std::memcpy(&seed, random.bytes.data(), sizeof seed);
  return seed;
}

}  // namespace

UdpCore::UdpCore(UdpSystem& system, const Options& options, TransportCallbacks callbacks)
    : system_(system),
      callbacks_(std::move(callbacks)),
      handshake_limit_(options.handshake_limit),
      random_(random_seed()),
      trust_(options.trust),
      opened_(kPacketBytesMax + kRecordTagBytes) {}

// --- Datagrams that come. ---

void UdpCore::on_datagram(UdpPort& port, const Endpoint& from, Instant now, std::span<const std::byte> datagram) {
  if (stopped_ || datagram.empty()) return;
  in_batch_ = true;
  if (static_cast<OuterType>(datagram[0]) == OuterType::kRecord) return on_record(from, now, datagram);
  const auto handshake = read_handshake(datagram);
  if (!handshake) return;  // anybody may send anything to a port
  if (handshake->type == OuterType::kInit) return on_init(port, from, *handshake);
  const auto found = sessions_.find(handshake->to);
  if (found == sessions_.end() || found->second->remote != from) return;
  const SessionPtr session = found->second;
  if (handshake->type == OuterType::kRetry && session->phase == UdpPhase::kInit) {
    session->cookie = handshake->cookie;
    send_init(*session);
  } else if (handshake->type == OuterType::kAccept) {
    on_accept(session, *handshake);
  } else if (handshake->type == OuterType::kFinish) {
    on_finish(session, *handshake);
  }
}

void UdpCore::on_record(const Endpoint& from, Instant now, std::span<const std::byte> datagram) {
  const auto header = read_record_header(datagram);
  if (!header) return;
  const auto found = sessions_.find(header->to);
  if (found == sessions_.end()) return;
  const SessionPtr session = found->second;
  if (!session->link || session->remote != from) return;
  auto record = datagram.subspan(kOuterHeaderBytes);
  if (session->opener) {
    if (record.size() < kRecordTagBytes || record.size() > opened_.size()) return;
    if (!session->opener->open(header->number, record, opened_.data())) return;  // forged, or doubled
    record = std::span<const std::byte>(opened_).first(record.size() - kRecordTagBytes);
  }
  session->heard = now;
  session->again.clear();
  session->bytes_received += datagram.size();
  const bool right = session->link->on_packet(now, header->number, record);
  if (session->closed || stopped_) return;
  if (!right || session->link->closed_by_peer()) {
    if (session->phase != UdpPhase::kUp) return refuse(session, right ? "" : "cannot talk to " + session->address + ": it broke the rules of the protocol; is it an rse-node?");
    const std::string address = session->address;
    link_lost(session, false);
    if (!right) report_failure(address, "closed the link with " + address + ": it broke the rules of the protocol; it is of another version or broken: look at its log");
    return;
  }
  mark(*session);
  if (session->crowded && session->link->unsent_bytes() < kQueueShortBytes) {
    session->crowded = false;
    if (session->phase == UdpPhase::kUp && callbacks_.on_room) callbacks_.on_room(session->peer.self.node);
  }
}

void UdpCore::on_refused(std::span<const std::byte> datagram) {
  if (stopped_ || datagram.size() < kOuterHeaderBytes) return;
  in_batch_ = true;
  const auto header = read_record_header(datagram);
  SessionPtr session;
  for (const auto& [id, candidate] : sessions_) {
    const bool of_record = header && candidate->link && candidate->peer_id == header->to &&
                           header->number < candidate->link->stats().packets_sent;
    const bool of_init = !header && candidate->phase == UdpPhase::kInit &&
                         std::equal(datagram.begin(), datagram.begin() + kOuterHeaderBytes, candidate->again.begin(),
                                    candidate->again.begin() + std::min(kOuterHeaderBytes, candidate->again.size()));
    if (of_record || of_init) session = candidate;
  }
  if (!session) return;
  if (session->phase == UdpPhase::kUp) return link_lost(session, true);
  const NodeId node = session->dial ? session->dial->node : NodeId{};
  refuse(session, nothing_listens_text(session->address));
  const auto known = peers_.find(node);
  if (stopped_ || known == peers_.end()) return;
  Peer& peer = known->second;
  if (peer.link || peer.down_unreported || peer.link_number == 0 || std::exchange(peer.death_reported, true)) return;
  callbacks_.on_down(node, true);
}

void UdpCore::on_batch_end() {
  in_batch_ = false;
  if (!stopped_) flush();
}

// --- Dialling. ---

void UdpCore::set_hello(const Hello& hello) {
  if (stopped_) return;
  hello_ = hello;
  if (std::exchange(started_, true)) return;
  start_due_dials(system_.now());
}

void UdpCore::dial(const std::string& address) {
  if (stopped_ || own_addresses_.contains(address) || dials_.contains(address)) return;
  auto dial = std::make_shared<UdpDial>();
  dial->address = address;
  dial->wait = kBackOffStart;
  dial->attempt = ++dial_count_ << 32;
  dial->again_at = system_.now();
  dials_.emplace(address, dial);
  if (started_) call_soon();  // no callback from inside this call
}

void UdpCore::undial(const std::string& address) {
  own_addresses_.erase(address);
  const auto found = dials_.find(address);
  if (found == dials_.end()) return;
  found->second->stopped = true;
  dials_.erase(found);
}

void UdpCore::attempt(const std::shared_ptr<UdpDial>& dial) {
  if (stopped_ || dial->stopped || dial->under_way) return;
  if (dial->node.raw != 0 && linked(dial->node)) return;  // wake_dials() when that link is down
  dial->under_way = true;
  system_.resolve(dial->address, ++dial->attempt);
}

void UdpCore::on_resolved(const std::string& address, std::uint64_t attempt, const std::optional<UdpEndpoint>& endpoint,
                          const std::string& why) {
  const auto found = dials_.find(address);
  if (stopped_ || found == dials_.end() || found->second->attempt != attempt) return;
  const std::shared_ptr<UdpDial> dial = found->second;
  if (endpoint) return try_endpoint(dial, *endpoint);
  retry(dial);
  report_failure(address, why);
}

void UdpCore::try_endpoint(const std::shared_ptr<UdpDial>& dial, const Endpoint& endpoint) {
  const auto port = system_.port_to(endpoint);
  if (!port) {
    retry(dial);
    return report_failure(dial->address, "cannot reach " + dial->address + ": this machine gives no socket for it; check its network");
  }
  const SessionPtr session = new_session(UdpPhase::kInit, port, endpoint, dial->address);
  session->outgoing = true;
  session->dial = dial;
  if (trust_) {
    session->channel = std::make_unique<SecureChannel>(NoiseRole::kInitiator, trust_, session->address);
    session->channel->start(session->first_message);
  }
  send_init(*session);
  system_.flush();
  arm(deadline_of(*session));
}

void UdpCore::retry(const std::shared_ptr<UdpDial>& dial) {
  if (stopped_ || dial->stopped) return;
  dial->under_way = false;
  const std::uint64_t half = dial->wait.raw / 2;
  dial->again_at = system_.now() + Duration{half + random_.below(static_cast<std::uint32_t>(half))};
  dial->wait = std::min(Duration{2 * dial->wait.raw}, kBackOffMax);
  arm(dial->again_at);
}

/// A callback may dial and undial.
void UdpCore::start_due_dials(Instant now) {
  std::vector<std::shared_ptr<UdpDial>> due;
  for (const auto& [address, dial] : dials_) {
    if (dial->again_at.raw != 0 && now >= dial->again_at) due.push_back(dial);
  }
  for (const auto& dial : due) {
    dial->again_at = {};
    attempt(dial);
  }
}

void UdpCore::wake_dials(NodeId node) {
  for (const auto& [address, dial] : dials_) {
    if (dial->node != node || dial->under_way) continue;
    dial->wait = kBackOffStart;
    retry(dial);
  }
}

// --- Links. ---

bool UdpCore::linked(NodeId node) const {
  const auto found = peers_.find(node);
  return found != peers_.end() && found->second.link != nullptr;
}

SendResult UdpCore::send(NodeId node, std::span<const SharedBytes> parts) {
  std::size_t size = 0;
  for (const SharedBytes& part : parts) size += part.bytes.size();
  if (size > kMessageBytesMax) return SendResult::kTooLarge;
  const auto found = peers_.find(node);
  if (stopped_ || found == peers_.end() || !found->second.link) return SendResult::kNoLink;
  if (size == 0) return SendResult::kQueued;  // an empty message is the handshake's
  Session& session = *found->second.link;
  if (!session.link->push_parts(parts)) {
    ++found->second.stats.messages_dropped;
    return SendResult::kQueueFull;
  }
  ++found->second.stats.messages_sent;
  session.crowded |= session.link->unsent_bytes() >= kQueueShortBytes;
  mark(session);
  return SendResult::kQueued;
}

SendResult UdpCore::send_at_once(NodeId node, std::span<const SharedBytes> parts) {
  const auto found = peers_.find(node);
  if (stopped_ || found == peers_.end() || !found->second.link) return SendResult::kNoLink;
  Session& session = *found->second.link;
  const Bytes whole = join(parts);
  if (whole.empty() || !session.link->push_unreliable(whole)) return send(node, parts);
  ++found->second.stats.messages_sent;
  if (const Instant now = system_.now(); now >= session.asked + kAskInterval) {
    session.asked = now;
    session.link->ping();
  }
  mark(session);
  return SendResult::kQueued;
}

std::optional<LinkProgress> UdpCore::progress(NodeId node) const {
  const auto found = peers_.find(node);
  if (found == peers_.end() || !found->second.link) return {};
  const DatagramLink& link = *found->second.link->link;
  return LinkProgress{.sent = link.asked_until(), .answered = link.answered_until(), .rtt_nanoseconds = link.stats().rtt.raw};
}

bool UdpCore::has_room(NodeId node) const {
  const auto found = peers_.find(node);
  return found == peers_.end() || !found->second.link || found->second.link->link->unsent_bytes() < kQueueShortBytes;
}

void UdpCore::disconnect(NodeId node) {
  const auto found = peers_.find(node);
  if (found == peers_.end() || !found->second.link) return;
  forget(found->second.link, true);
  found->second.down_unreported = true;
  call_soon();
}

void UdpCore::report_closed() {
  std::vector<NodeId> closed;
  for (const auto& [node, peer] : peers_) {
    if (peer.down_unreported) closed.push_back(node);
  }
  for (const NodeId node : closed) {
    const auto found = peers_.find(node);
    if (stopped_ || found == peers_.end() || !std::exchange(found->second.down_unreported, false)) continue;
    wake_dials(node);
    callbacks_.on_down(node, false);
  }
}

void UdpCore::set_trust(std::shared_ptr<const TrustBook> book) {
  if (stopped_ || !trust_) return;
  trust_ = std::move(book);
  std::vector<NodeId> strange;
  for (const auto& [node, peer] : peers_) {
    if (peer.link && !still_trusted(*trust_, peer.link->channel->peer())) strange.push_back(node);
  }
  for (const NodeId node : strange) disconnect(node);
}

void UdpCore::forget(const SessionPtr& session, bool tell_peer) {
  const SessionPtr keep = session;
  if (std::exchange(keep->closed, true)) return;
  if (tell_peer && keep->link) {
    keep->link->close();
    flush(*keep);
    system_.flush();
  }
  sessions_.erase(keep->id);
  if (keep->phase != UdpPhase::kUp) return;
  Peer& peer = peers_[keep->peer.self.node];
  peer.stats.bytes_sent += keep->bytes_sent;
  peer.stats.bytes_received += keep->bytes_received;
  if (peer.link == keep) peer.link = nullptr;
}

void UdpCore::link_lost(const SessionPtr& session, bool proof_of_death) {
  const NodeId node = session->peer.self.node;
  forget(session, false);
  if (stopped_) return;
  peers_[node].death_reported = proof_of_death;
  wake_dials(node);
  callbacks_.on_down(node, proof_of_death);
}

void UdpCore::report_failure(const std::string& address, const std::string& why) {
  if (!stopped_) callbacks_.on_failure(address, why);
}

void UdpCore::report_stranger(const Session& session, const std::string& why) {
  if (const auto line = strangers_.line(session.host, why, system_.now())) report_failure(session.address, *line);
}

// --- Datagrams that go, and time. ---

/// It may have something to send: at the end of this turn of the loop, together with what comes up until then.
void UdpCore::mark(Session& session) {
  if (!std::exchange(session.dirty, true)) dirty_.push_back(sessions_.at(session.id));
  if (!in_batch_) call_soon();
}

void UdpCore::call_soon() {
  if (!std::exchange(soon_asked_, true)) system_.call_soon();
}

void UdpCore::on_soon() {
  soon_asked_ = false;
  if (!stopped_) start_due_dials(system_.now());
  if (!stopped_) report_closed();
  if (!stopped_) flush();
}

void UdpCore::flush() {
  for (const SessionPtr& session : dirty_) {
    session->dirty = false;
    if (!session->closed) flush(*session);
  }
  system_.flush();  // what comes next can wait until the packets are on their way
  Instant next = kNever;
  for (const SessionPtr& session : dirty_) {
    if (!session->closed) next = std::min(next, deadline_of(*session));
  }
  dirty_.clear();
  arm(next);
}

void UdpCore::flush(Session& session) {
  if (!session.link) return;
  const Instant now = system_.now();
  const std::size_t tag = session.sealer ? kRecordTagBytes : 0;
  for (std::size_t count = 0; count < kPacketsAtOnce; ++count) {
    const std::size_t packet_bytes_max = session.link->packet_bytes_max();
    std::byte* const room = session.port->room(session.remote, kOuterHeaderBytes + packet_bytes_max + tag);
    PacketWriter packet({room + kOuterHeaderBytes, packet_bytes_max});
    const auto number = session.link->poll_packet(now, packet);
    if (!number) return;
    write_record_header(room, {session.peer_id, *number});
    if (session.sealer) {
      const std::uint64_t sealed_as = session.sealer->seal(packet.bytes(), room + kOuterHeaderBytes);
      RSE_ASSERT(sealed_as == *number, "a packet's number is its record's");
    }
    const std::size_t size = kOuterHeaderBytes + packet.size() + tag;
    session.port->queue(size);
    session.sent = now;
    session.bytes_sent += size;
  }
}

Instant UdpCore::deadline_of(const Session& session) const {
  Instant next = kNever;
  if (session.limit.raw != 0) next = session.limit;
  if (!session.again.empty() && session.again_at.raw != 0) next = std::min(next, session.again_at);
  if (!session.link) return next;
  if (const auto deadline = session.link->next_deadline()) next = std::min(next, *deadline);
  return std::min({next, session.sent + kKeepAlive, session.heard + kSilenceMax});
}

void UdpCore::arm(Instant deadline) {
  if (stopped_ || deadline == kNever || (armed_ && *armed_ <= deadline)) return;  // an early call does nothing
  armed_ = std::max(deadline, system_.now() + kTimerStep);
  system_.call_at(*armed_);
}

void UdpCore::on_timer() {
  if (stopped_) return;
  armed_.reset();
  const Instant now = system_.now();
  std::vector<SessionPtr> all;
  for (const auto& [id, session] : sessions_) all.push_back(session);
  in_batch_ = true;
  for (const SessionPtr& session : all) {
    if (!session->closed && !stopped_) look_after(session, now);
  }
  in_batch_ = false;
  if (!stopped_) start_due_dials(now);
  if (stopped_) return;
  flush();
  Instant next = kNever;
  for (const auto& [address, dial] : dials_) {
    if (dial->again_at.raw != 0) next = std::min(next, dial->again_at);
  }
  for (const auto& [id, session] : sessions_) next = std::min(next, deadline_of(*session));
  arm(next);
}

void UdpCore::look_after(const SessionPtr& session, Instant now) {
  if (session->limit.raw != 0 && now >= session->limit) {
    if (session->phase == UdpPhase::kRefused) return forget(session, false);
    const std::string limit = std::to_string(handshake_limit_.raw / 1'000'000) + " ms";
    if (session->phase == UdpPhase::kUp) return link_lost(session, false);  // the peer has not taken the grant
    if (session->phase == UdpPhase::kInit) return refuse(session, no_answer_text(session->address));
    return refuse(session, "cannot talk to " + session->address + ": it did not finish the handshake within " + limit + "; is it an rse-node?");
  }
  if (!session->again.empty() && session->again_at.raw != 0 && now >= session->again_at) send_again(*session, now);
  if (!session->link) return;
  if (now >= session->heard + kSilenceMax) {
    if (session->phase == UdpPhase::kUp) return link_lost(session, false);
    return refuse(session, no_answer_text(session->address));
  }
  if (now >= session->sent + kKeepAlive) {
    session->link->ping();
    mark(*session);
  }
  const auto deadline = session->link->next_deadline();
  if (deadline && *deadline <= now + kTimerStep) mark(*session);
}

std::vector<LinkStats> UdpCore::stats() const {
  const Instant now = system_.now();
  std::vector<LinkStats> all;
  for (const auto& [node, peer] : peers_) {
    LinkStats& stats = all.emplace_back(peer.stats);
    stats.peer = node;
    stats.transport = "udp";
    stats.connected = peer.link != nullptr;
    if (!peer.link) continue;
    const DatagramLink::Stats measure = peer.link->link->stats();
    stats.rtt_nanoseconds = measure.rtt.raw;
    stats.packets_sent = measure.packets_sent;
    stats.packets_lost = measure.packets_lost;
    stats.silence_nanoseconds = elapsed(peer.link->heard, now).raw;
    if (peer.link->channel) stats.cipher = cipher_name(peer.link->channel->cipher());
    stats.bytes_sent += peer.link->bytes_sent;
    stats.bytes_received += peer.link->bytes_received;
    stats.queued_bytes = peer.link->link->queued_bytes();
  }
  return all;
}

void UdpCore::stop() {
  if (std::exchange(stopped_, true)) return;
  const auto sessions = std::exchange(sessions_, {});
  for (const auto& [id, session] : sessions) {
    session->closed = true;
    if (!session->link || session->phase == UdpPhase::kRefused) continue;
    session->link->close();
    flush(*session);
  }
  for (auto& [node, peer] : peers_) peer.link = nullptr;
  system_.flush();
  for (const auto& [address, dial] : dials_) dial->stopped = true;
  dials_.clear();
}

}  // namespace rse
