#include "transport/ivshmem/links.h"

#include <algorithm>
#include <utility>

#include "torus/braid/messages.h"
#include "transport/codec/codec.h"

namespace rse {
namespace {

static_assert(kMessageBytesMax == kRingMessageBytesMax);

constexpr std::size_t kEventsPerTurn = 512;
constexpr std::size_t kBytesPerTurn = 2u << 20;
constexpr std::size_t kQueueReserveBytes = 1u << 20;  // for small messages: heartbeats get through a flood of regions
constexpr std::size_t kSmallMessageBytes = 4096;
constexpr Duration kOfferWaitStart = milliseconds(20);
constexpr Duration kPeersTurn = milliseconds(100);  // memory does not fail, so that a peer that does not look is busy first of all
constexpr Duration kOfferWaitMax = milliseconds(1000);
/// Peers remembered, linked or not: forgetting one that is down costs its statistics and the proof of its death.
constexpr std::size_t kPeersMax = 64;

}  // namespace

IvshmemLinks::IvshmemLinks(Participant& self, Surroundings& surroundings, const Options& options, TransportCallbacks callbacks)
    : self_(self), surroundings_(surroundings), options_(options), callbacks_(std::move(callbacks)) {}

void IvshmemLinks::stop() {
  if (std::exchange(stopped_, true)) return;
  for (auto& [node, peer] : peers_) peer.slot.reset();
  self_.leave();
}

// --- Turns. ---

IvshmemLinks::Turn IvshmemLinks::turn() {
  report_disconnected();
  const Turn turn = stopped_ ? Turn::kDone : take_events();
  for (std::uint32_t writable = stopped_ ? 0 : self_.take_writable(); writable != 0 && !stopped_; writable &= writable - 1) {
    flush(static_cast<std::uint32_t>(__builtin_ctz(writable)));
  }
  if (!stopped_) ring_bells();
  return turn;
}

IvshmemLinks::Turn IvshmemLinks::take_events() {
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < kEventsPerTurn && bytes < kBytesPerTurn; ++count) {
    const Participant::Event event = self_.poll();
    if (event.kind == Participant::Event::Kind::kNothing) return Turn::kDone;
    bytes += event.kind == Participant::Event::Kind::kWorked ? kFramePayloadBytesMax : event.message.size();
    on_event(event);
    if (stopped_) return Turn::kDone;
  }
  return Turn::kMore;
}

void IvshmemLinks::look_after() {
  const Instant now = surroundings_.now();
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    const Slot& slot = slots_[index];
    if (slot.phase != Phase::kUp && now >= slot.next_offer && self_.opens(index) && self_.present(index)) offer(index);
  }
  ring_bells();
}

bool IvshmemLinks::complete() const {
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    if (index != self_.slot() && self_.present(index) && slots_[index].phase != Phase::kUp) return false;
  }
  return true;
}

void IvshmemLinks::report_disconnected() {
  std::vector<NodeId> down;
  for (auto& [node, peer] : peers_) {
    if (std::exchange(peer.down_unreported, false)) down.push_back(node);
  }
  for (const NodeId node : down) {
    if (!stopped_) callbacks_.on_down(node, false);
  }
}

void IvshmemLinks::report_deaths() {
  std::vector<NodeId> dead;
  for (auto& [node, peer] : peers_) {
    if (!peer.met || peer.slot || peer.death_reported || peer.down_unreported) continue;
    if (!surroundings_.is_gone(peer.last_slot, peer.process)) continue;
    peer.death_reported = true;
    dead.push_back(node);
  }
  for (const NodeId node : dead) {
    if (!stopped_) callbacks_.on_down(node, true);
  }
}

// --- Receiving. ---

void IvshmemLinks::on_event(const Participant::Event& event) {
  const std::uint32_t index = event.peer;
  switch (event.kind) {
    case Participant::Event::Kind::kNothing:
    case Participant::Event::Kind::kWorked: return;
    case Participant::Event::Kind::kAppeared:
      slots_[index] = Slot{};
      surroundings_.on_appeared(index);
      return offer(index);
    case Participant::Event::Kind::kLeft: slots_[index] = Slot{}; return report_deaths();
    case Participant::Event::Kind::kOpened: return on_opened(index);
    case Participant::Event::Kind::kClosed: return on_ended(index, false);
    case Participant::Event::Kind::kDamaged: return on_ended(index, true);
    case Participant::Event::Kind::kDisplaced: return on_displaced();
    case Participant::Event::Kind::kMessage: return on_message(index, event.message);
  }
}

/// The slot is ours: nobody has taken it, the memory was written over.
void IvshmemLinks::on_displaced() {
  self_.announce();
  for (std::uint32_t peer = 0; peer < kParticipantsMax; ++peer) {
    if (peer != self_.slot()) on_ended(peer, true);
    if (stopped_) return;
  }
}

void IvshmemLinks::on_message(std::uint32_t index, std::span<const std::byte> message) {
  took_message_ = true;
  Slot& slot = slots_[index];
  slot.heard = surroundings_.roughly_now();
  switch (slot.phase) {
    case Phase::kNone: return;  // refused; the session is being closed
    case Phase::kHello: return on_hello(index, message);
    case Phase::kUp: break;
  }
  // A second hello says why the peer does not want the link, which we have taken for one.
  if (is_hello(message)) return on_hello(index, message);
  const NodeId node = slot.hello.self.node;
  LinkStats& stats = peers_[node].stats;
  ++stats.messages_received;
  stats.bytes_received += message.size();
  callbacks_.on_message(node, message);
}

// --- Sessions. ---

void IvshmemLinks::offer(std::uint32_t index) {
  if (!self_.opens(index)) return;
  slots_[index].phase = Phase::kNone;
  slots_[index].next_offer = surroundings_.now() + options_.handshake_limit;
  self_.open(index);
}

/// Waits longer each time, until a link has come up.
void IvshmemLinks::offer_later(std::uint32_t index) {
  Slot& slot = slots_[index];
  slot.next_offer = surroundings_.now() + slot.wait;
  slot.wait = std::clamp(Duration{2 * slot.wait.raw}, kOfferWaitStart, kOfferWaitMax);
}

void IvshmemLinks::clear_queue(std::uint32_t index) {
  Slot& slot = slots_[index];
  slot.queue.clear();
  slot.queued_bytes = slot.done = 0;
}

void IvshmemLinks::on_opened(std::uint32_t index) {
  clear_queue(index);
  slots_[index].phase = Phase::kHello;
  slots_[index].next_offer = surroundings_.now() + options_.handshake_limit;
  say_hello(index, {});
}

void IvshmemLinks::say_hello(std::uint32_t index, const std::string& refusal) {
  Hello hello = hello_;
  surroundings_.show(hello);
  hello.refusal = refusal;
  Bytes bytes;
  encode_hello(hello, bytes);
  enqueue(index, bytes);
}

/// The session is over, whoever ended it.
void IvshmemLinks::on_ended(std::uint32_t index, bool damaged) {
  Slot& slot = slots_[index];
  const Phase before = std::exchange(slot.phase, Phase::kNone);
  clear_queue(index);
  offer_later(index);
  if (before != Phase::kUp) return;
  const NodeId node = slot.hello.self.node;
  const std::string name = slot.hello.self.name.empty() ? hex_id(node.raw) : slot.hello.self.name;
  peers_[node].slot.reset();
  callbacks_.on_down(node, false);
  if (!damaged || stopped_) return;
  report_failure("closed the link with " + name + " at " + surroundings_.place(index) +
                 ": the shared memory did not hold what it should; a program writes to it that should not");
}

void IvshmemLinks::on_hello(std::uint32_t index, std::span<const std::byte> frame) {
  const std::string where = surroundings_.place(index);
  auto hello = decode_hello(frame);
  if (hello && !hello->refusal.empty()) {
    on_ended(index, false);
    if (!stopped_) report_failure(told_text(where, hello->refusal));
    return;
  }
  if (!hello || slots_[index].phase == Phase::kUp) {
    return refuse(index, Refusal::kOurs, "cannot talk to " + where + ": it sent what is no handshake of ours; is it an rse-node?");
  }
  std::string why;
  switch (judge_hello(hello_, *hello, where, why)) {
    case HelloVerdict::kOurselves: return refuse(index, Refusal::kMutual, {});
    case HelloVerdict::kRefused: return refuse(index, Refusal::kMutual, why);
    case HelloVerdict::kWelcome: break;
  }
  const bool both_join = hello_.cluster.raw == 0 && hello->cluster.raw == 0;  // neither can vouch for the other yet
  if (surroundings_.encrypted() && both_join) return refuse(index, Refusal::kMutual, {});
  why = surroundings_.judge(*hello, where);
  if (!why.empty()) return refuse(index, Refusal::kTold, why);
  const auto known = peers_.find(hello->self.node);
  if (known != peers_.end() && hello->self.incarnation < known->second.incarnation) {
    return refuse(index, Refusal::kOurs, old_life_text(*hello, where, known->second.incarnation));
  }
  const bool twice = known != peers_.end() && known->second.slot && known->second.incarnation == hello->self.incarnation;
  if (twice) return refuse(index, Refusal::kOurs, {});  // the same life in two slots: the first counts
  if (known == peers_.end() && peers_.size() >= kPeersMax) {
    std::erase_if(peers_, [](const auto& entry) { return !entry.second.slot && !entry.second.down_unreported; });
  }
  bring_up(index, *hello);
}

/// From here on this session is the link. The callbacks come last: they may do anything.
void IvshmemLinks::bring_up(std::uint32_t index, const Hello& hello) {
  const NodeId node = hello.self.node;
  Peer& peer = peers_[node];
  const bool new_life = peer.incarnation != hello.self.incarnation;
  const bool old_life_ends = new_life && (peer.slot || (peer.met && !peer.death_reported));
  if (peer.slot) {
    slots_[*peer.slot].phase = Phase::kNone;
    self_.close(*peer.slot);
  }
  if (peer.met) ++peer.stats.reconnects;
  Slot& slot = slots_[index];
  slot.phase = Phase::kUp;
  slot.hello = hello;
  slot.wait = {};
  peer.slot = peer.last_slot = index;
  peer.process = self_.process_of(index);
  peer.incarnation = hello.self.incarnation;
  peer.met = true;
  peer.death_reported = false;
  peer.stats.address = surroundings_.place(index);
  const bool down_unreported = std::exchange(peer.down_unreported, false);
  if (old_life_ends) {
    callbacks_.on_down(node, true);
  } else if (down_unreported) {
    callbacks_.on_down(node, false);
  }
  if (!stopped_ && slots_[index].phase == Phase::kUp) callbacks_.on_up(hello);
}

/// A session that both refuse stays open until the next offer, so that the other side reads what we have said and knows why.
void IvshmemLinks::refuse(std::uint32_t index, Refusal refusal, const std::string& why) {
  if (refusal == Refusal::kTold) say_hello(index, why);
  if (refusal == Refusal::kOurs) self_.close(index);
  slots_[index].phase = Phase::kNone;
  offer_later(index);
  if (!why.empty()) report_failure(why);
}

void IvshmemLinks::disconnect(NodeId node) {
  const auto found = peers_.find(node);
  if (stopped_ || found == peers_.end() || !found->second.slot) return;
  const std::uint32_t index = *std::exchange(found->second.slot, std::nullopt);
  slots_[index].phase = Phase::kNone;
  clear_queue(index);
  self_.close(index);
  ring_bells();
  offer_later(index);
  found->second.down_unreported = true;
  surroundings_.turn_soon();
}

// --- Sending. ---

SendResult IvshmemLinks::send(NodeId node, std::span<const std::byte> message, Wake wake) {
  if (message.size() > kMessageBytesMax) return SendResult::kTooLarge;
  const auto found = peers_.find(node);
  if (stopped_ || found == peers_.end() || !found->second.slot) return SendResult::kNoLink;
  if (message.empty()) return SendResult::kQueued;  // as with the other transports, nothing to receive
  if (!enqueue(*found->second.slot, message, wake)) {
    ++found->second.stats.messages_dropped;
    return SendResult::kQueueFull;
  }
  ++found->second.stats.messages_sent;
  found->second.stats.bytes_sent += message.size();
  return SendResult::kQueued;
}

SendResult IvshmemLinks::send_at_once(NodeId node, std::span<const std::byte> message) {
  const auto found = peers_.find(node);
  if (found != peers_.end() && found->second.slot) {
    const std::uint32_t index = *found->second.slot;
    if (self_.rests(index) && self_.taken(index) != self_.sent(index)) return SendResult::kQueued;
  }
  return send(node, message, Wake::kUnlessResting);
}

bool IvshmemLinks::enqueue(std::uint32_t index, std::span<const std::byte> message, Wake wake) {
  Slot& slot = slots_[index];
  const std::size_t bound =
      message.size() <= kSmallMessageBytes ? kIvshmemQueueBytesMax : kIvshmemQueueBytesMax - kQueueReserveBytes;
  if (slot.queued_bytes + message.size() > bound) return false;
  std::size_t done = 0;
  if (slot.queue.empty()) done = self_.put(index, message, 0, wake);
  if (done < message.size()) {
    if (slot.queue.empty()) slot.done = done;
    slot.queue.emplace_back(message.begin(), message.end());
    slot.queued_bytes += message.size();
  }
  ring_bells();
  return true;
}

bool IvshmemLinks::has_room(NodeId node) const {
  const auto found = peers_.find(node);
  return found == peers_.end() || !found->second.slot || slots_[*found->second.slot].queued_bytes < kQueueShortBytes;
}

std::optional<LinkProgress> IvshmemLinks::progress(NodeId node) const {
  const auto found = peers_.find(node);
  if (found == peers_.end() || !found->second.slot) return {};
  const std::uint32_t slot = *found->second.slot;
  const std::uint64_t sent = self_.sent(slot);
  const std::uint64_t answered = self_.rests(slot) ? sent : self_.taken(slot);  // who rests has said that it looks later
  return LinkProgress{.sent = sent, .answered = answered, .answer_delay_nanoseconds = kPeersTurn.raw};
}

void IvshmemLinks::flush(std::uint32_t index) {
  Slot& slot = slots_[index];
  const bool was_long = slot.queued_bytes >= kQueueShortBytes;
  while (!slot.queue.empty()) {
    const Bytes& message = slot.queue.front();
    slot.done = self_.put(index, message, slot.done);
    if (slot.done < message.size()) break;
    slot.queued_bytes -= message.size();
    slot.queue.pop_front();
    slot.done = 0;
  }
  const bool short_again = was_long && slot.queued_bytes < kQueueShortBytes && slot.phase == Phase::kUp;
  if (short_again && callbacks_.on_room) callbacks_.on_room(slot.hello.self.node);
}

void IvshmemLinks::ring_bells() {
  for (std::uint32_t bells = self_.take_bells(); bells != 0; bells &= bells - 1) {
    const auto index = static_cast<std::uint32_t>(__builtin_ctz(bells));
    if (self_.bell_of(index) != BellKind::kNone) surroundings_.ring(index);
  }
}

std::vector<LinkStats> IvshmemLinks::stats() const {
  const Instant now = surroundings_.roughly_now();
  std::vector<LinkStats> all;
  for (const auto& [node, peer] : peers_) {
    LinkStats& stats = all.emplace_back(peer.stats);
    stats.peer = node;
    stats.transport = "ivshmem";
    stats.connected = peer.slot.has_value();
    if (!peer.slot) continue;
    stats.queued_bytes = slots_[*peer.slot].queued_bytes;
    stats.silence_nanoseconds = elapsed(slots_[*peer.slot].heard, now).raw;
  }
  return all;
}

void IvshmemLinks::report_failure(const std::string& why) {
  if (!stopped_) callbacks_.on_failure(address_, why);
}

}  // namespace rse
