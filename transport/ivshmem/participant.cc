#include "transport/ivshmem/participant.h"

#include "torus/base/assert.h"

namespace rse {
namespace {

using Kind = Participant::Event::Kind;

constexpr unsigned kSessionCountBits = 24;  // of a session's number; the bits above are the life that opened it

}  // namespace

Participant::Participant(const RingRegion& region, const Options& options)
    : region_(region), options_(options), slot_(options.slot), presence_(&region_.presence(0)) {
  RSE_ASSERT(slot_ < kParticipantsMax, "no such slot");
  for (std::uint32_t peer = 0; peer < kParticipantsMax; ++peer) {
    if (peer == slot_) continue;
    peers_[peer].reader.bind(region, peer, slot_);
    peers_[peer].writer.bind(region, slot_, peer);
  }
  announce();
}

void Participant::announce() {
  SlotRecord& record = region_.slot(slot_);
  store_relaxed(record.sleeping, 0);
  store_relaxed(record.bell, static_cast<std::uint32_t>(options_.bell));
  store_relaxed(record.process, options_.process);
  for (std::uint32_t peer = 0; peer < kParticipantsMax; ++peer) {
    if (peer == slot_) continue;
    // The life before may have left these open.
    RingControl& ring = region_.ring(slot_, peer);
    store_release(ring.generation, load_relaxed(ring.generation) | kClosedBit);
    close(peer);
  }
  seen_[slot_] = ((load_relaxed(region_.presence(slot_)) >> 1) + 1) << 1 | 1;
  store_release(region_.presence(slot_), seen_[slot_]);
  session_count_ = 0;
  changed_all();
}

void Participant::leave() {
  for (std::uint32_t peer = 0; peer < kParticipantsMax; ++peer) {
    if (peer != slot_) close(peer);
  }
  seen_[slot_] &= ~std::uint64_t{1};
  store_release(region_.presence(slot_), seen_[slot_]);
  changed_all();
}

Participant::Event Participant::poll() {
  std::uint32_t left = worth_a_look();
  if ((left & 1u << slot_) != 0) return {Kind::kDisplaced, slot_, {}};
  while (left != 0) {
    const std::uint32_t from_next = left & ~0u << next_;
    const auto index = static_cast<std::uint32_t>(__builtin_ctz(from_next != 0 ? from_next : left));
    left &= ~(1u << index);
    const Event event = poll_peer(index);
    if (event.kind == Kind::kNothing) continue;
    // A whole message: the next peer's turn. A part: go on, or many senders would fill many buffers.
    next_ = event.kind == Kind::kWorked ? index : (index + 1) % kParticipantsMax;
    return event;
  }
  return {};
}

/// Peers (bit = slot) that take part or whose word has changed; we ourselves only if ours has. Who spins asks nothing else of most.
std::uint32_t Participant::worth_a_look() const {
  std::uint64_t changed = 0;
#pragma GCC unroll 8
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) changed |= presence_of(index) ^ seen_[index];
  if (changed == 0) [[likely]] return present_;
  std::uint32_t bits = present_;
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    bits |= static_cast<std::uint32_t>(presence_of(index) != seen_[index]) << index;
  }
  return bits;
}

void Participant::see(std::uint32_t index, std::uint64_t word) {
  seen_[index] = word;
  const std::uint32_t bit = 1u << index;
  present_ = (word & 1) != 0 ? present_ | bit : present_ & ~bit;
}

Participant::Event Participant::poll_peer(std::uint32_t index) {
  Peer& peer = peers_[index];
  const std::uint64_t presence = presence_of(index);
  if (presence != seen_[index]) {
    if (peer.reader.joined()) return end(index, Kind::kClosed);
    close(index);
    if ((seen_[index] & 1) != 0) {
      see(index, 0);
      return {Kind::kLeft, index, {}};
    }
    see(index, presence);
    if ((presence & 1) != 0) return {Kind::kAppeared, index, {}};
    return {};
  }
  if ((presence & 1) == 0) return {};
  return peer.reader.joined() ? poll_ring(index) : poll_offer(index);
}

/// No session yet. Ours to open: has the peer joined it? The peer's: does it offer one?
Participant::Event Participant::poll_offer(std::uint32_t index) {
  Peer& peer = peers_[index];
  const std::uint64_t offered = peer.reader.offered();
  if (opens(index)) {
    if (peer.session == 0) return {};
    if (offered == (peer.session | kClosedBit)) return end(index, Kind::kClosed);  // joined and closed at once
    return peer.reader.join(peer.session) ? Event{Kind::kOpened, index, {}} : Event{};
  }
  if (offered == 0 || (offered & kClosedBit) != 0 || offered == peer.refused) return {};
  if (!peer.reader.join(offered)) return {};
  peer.session = offered;
  peer.writer.open(offered);
  written_ |= 1u << index;
  return {Kind::kOpened, index, {}};
}

Participant::Event Participant::poll_ring(std::uint32_t index) {
  Peer& peer = peers_[index];
  switch (peer.reader.poll()) {
    case RingPoll::kEmpty: return {};
    case RingPoll::kPart: taken_ |= 1u << index; return {Kind::kWorked, index, {}};
    case RingPoll::kMessage: taken_ |= 1u << index; return {Kind::kMessage, index, peer.reader.message()};
    case RingPoll::kClosed: return end(index, Kind::kClosed);
    case RingPoll::kDamaged:
      // A producer that begins anew writes over what its former life had put there.
      return end(index, peer.reader.offered() == peer.session ? Kind::kDamaged : Kind::kClosed);
  }
  RSE_ASSERT(false, "unknown result of a poll");
}

Participant::Event Participant::end(std::uint32_t index, Kind kind) {
  close(index);
  return {kind, index, {}};
}

void Participant::open(std::uint32_t index) {
  Peer& peer = peers_[index];
  if (!opens(index) || !present(index)) return;
  peer.reader.leave();
  peer.session = ((seen_[slot_] >> 1) << kSessionCountBits | ++session_count_) & ~kClosedBit;
  peer.writer.open(peer.session);
  written_ |= 1u << index;
}

void Participant::close(std::uint32_t index) {
  Peer& peer = peers_[index];
  if (peer.session == 0) return;
  if (!opens(index)) peer.refused = peer.session;
  peer.reader.leave();
  peer.writer.close();
  peer.session = 0;
  written_ |= 1u << index;
}

std::size_t Participant::put(std::uint32_t index, std::span<const std::byte> message, std::size_t done, Wake wake) {
  Peer& peer = peers_[index];
  if (!peer.writer.is_open()) return done;
  if (wake == Wake::kAtOnce) written_ |= 1u << index;
  if (wake == Wake::kUnlessResting) unhurried_ |= 1u << index;
  return peer.writer.put(message, done);
}

std::uint32_t Participant::take_writable() {
  std::uint32_t writable = 0;
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    if (peers_[index].writer.room_again()) writable |= 1u << index;
  }
  return writable;
}

std::uint32_t Participant::take_bells() {
  if ((written_ | unhurried_ | taken_) == 0) return 0;
  // What we have written must be visible before we read that nobody sleeps; try_sleep() does it the other way round.
  full_fence();
  std::uint32_t bells = 0;
  for (std::uint32_t left = (written_ | unhurried_ | taken_) & ~(1u << slot_); left != 0; left &= left - 1) {
    const auto index = static_cast<std::uint32_t>(__builtin_ctz(left));
    const std::uint32_t bit = 1u << index;
    const bool urgent = (written_ & bit) != 0 || ((taken_ & bit) != 0 && peers_[index].reader.should_tell_producer());
    if (!urgent && ((unhurried_ & bit) == 0 || rests(index))) continue;
    std::uint32_t& sleeping = region_.slot(index).sleeping;
    if (load_relaxed(sleeping) == 0) continue;
    if (__atomic_exchange_n(&sleeping, 0, __ATOMIC_RELAXED) != 0) bells |= bit;
  }
  written_ = unhurried_ = taken_ = 0;
  return bells;
}

bool Participant::try_sleep(Sleep sleep) {
  std::uint32_t& sleeping = region_.slot(slot_).sleeping;
  store_relaxed(sleeping, static_cast<std::uint32_t>(sleep));
  full_fence();
  const bool news = has_news();
  if (news) store_relaxed(sleeping, 0);
  return !news;
}

bool Participant::has_news() {
  if (presence_of(slot_) != seen_[slot_]) return true;
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    if (index != slot_ && has_news_of(index)) return true;
  }
  return false;
}

bool Participant::has_news_of(std::uint32_t index) {
  Peer& peer = peers_[index];
  const std::uint64_t presence = presence_of(index);
  // A word that says nothing new to us (somebody who left and whom we never met) is no news.
  if (presence != seen_[index]) return true;
  if ((presence & 1) == 0) return false;
  if (peer.writer.room_now()) return true;
  if (peer.reader.joined()) return peer.reader.has_more();
  const std::uint64_t offered = peer.reader.offered();
  if (opens(index)) return peer.session != 0 && (offered & ~kClosedBit) == peer.session;
  return offered != 0 && (offered & kClosedBit) == 0 && offered != peer.refused;
}

bool Participant::rests(std::uint32_t peer) const {
  return load_relaxed(region_.slot(peer).sleeping) == static_cast<std::uint32_t>(Sleep::kResting);
}

void Participant::wake() { store_relaxed(region_.slot(slot_).sleeping, 0); }

BellKind Participant::bell_of(std::uint32_t peer) const {
  const auto kind = static_cast<BellKind>(load_relaxed(region_.slot(peer).bell));
  return kind == BellKind::kNamedPipe || kind == BellKind::kDoorbell ? kind : BellKind::kNone;
}
std::uint32_t Participant::process_of(std::uint32_t peer) const { return load_relaxed(region_.slot(peer).process); }

}  // namespace rse
