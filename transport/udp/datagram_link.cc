#include "transport/udp/datagram_link.h"

#include <algorithm>

#include "torus/base/assert.h"

namespace rse {
namespace {

constexpr std::uint64_t kReorderedPackets = 3;      // overtaken by that many: lost (RFC 9002, 6.1.1)
constexpr std::uint32_t kAckEvery = 2;              // packets (RFC 9000, 13.2.2)
constexpr Duration kAckDelay = milliseconds(1);
constexpr std::uint32_t kTimeoutsToFallBack = 3;    // then the path may carry only small packets
constexpr std::size_t kUnreliableBytesMax = 8 * kPacketBytesMin;
constexpr Instant kNever{~std::uint64_t{0}};

}  // namespace

DatagramLink::DatagramLink(const Options& options, Deliver deliver, Deliver at_once)
    : options_(options),
      deliver_(std::move(deliver)),
      at_once_(std::move(at_once)),
      path_(options.overhead, options.datagram_bytes_max),
      congestion_(path_.packet_bytes()),
      stream_in_(options.message_bytes_max) {}

bool DatagramLink::push_parts(std::span<const SharedBytes> parts) {
  std::size_t size = 0;
  for (const SharedBytes& part : parts) size += part.bytes.size();
  if (size > options_.message_bytes_max) return false;
  if (stream_out_.unacknowledged_bytes() + size > kQueueBytesMax) return false;
  stream_out_.push(parts, size);
  return true;
}

bool DatagramLink::push_unreliable(std::span<const std::byte> message) {
  const std::size_t size = kMessageHeaderBytes + message.size();
  if (size > path_.packet_bytes() || unreliable_.size() + size > kUnreliableBytesMax) return false;
  const std::size_t before = unreliable_.size();
  unreliable_.resize(before + size);
  PacketWriter writer({unreliable_.data() + before, size});
  put_message(writer, message);
  return true;
}

// --- Packets that come. ---

class DatagramLink::Reader : public FrameVisitor {
 public:
  Reader(DatagramLink& link, Instant now) : link_(link), now_(now) {}
  void on_ack(const AckFrame& ack) override {
    // Nobody can have what has not been sent.
    if (ack.intervals[0].end > link_.next_number_) ok = false;
    else link_.on_ack(now_, ack);
  }
  void on_stream(const StreamFrame& stream) override {
    eliciting = true;
    ok = ok && link_.stream_in_.take(stream.offset, stream.bytes, link_.deliver_);
  }
  void on_message(std::span<const std::byte> message) override {
    (link_.at_once_ ? link_.at_once_ : link_.deliver_)(message);
  }
  void on_ping() override { eliciting = true; }
  void on_close() override { link_.closed_by_peer_ = true; }

  bool ok = true, eliciting = false;

 private:
  DatagramLink& link_;
  Instant now_;
};

bool DatagramLink::on_packet(Instant now, std::uint64_t number, std::span<const std::byte> packet) {
  if (number < received_floor_ || received_.contains(number)) return true;  // doubled, or so late that it was sent again
  Reader reader(*this, now);
  if (!read_frames(packet, reader) || !reader.ok) {
    ++counts_.packets_refused;
    return false;
  }
  ++counts_.packets_received;
  const bool in_order = received_.empty() ? number == 0 : number == received_newest_ + 1;
  if (received_.empty() || number > received_newest_) {
    received_newest_ = number;
    received_newest_at_ = now;
  }
  received_.add(number, number + 1);
  if (received_.count() > kAckIntervalsMax) {
    received_floor_ = received_.intervals().front().end;
    received_.drop_lowest();
  }
  if (!reader.eliciting) return true;
  if (unacknowledged_++ == 0) ack_since_ = now;
  // A gap tells the sender of a loss: at once. So does the end of one.
  if (!in_order) ack_at_once_ = true;
  return true;
}

void DatagramLink::on_ack(Instant now, const AckFrame& ack) {
  stream_out_.set_limit(ack.stream_limit);
  bool any_new = false, newest_new = false;
  const std::uint64_t newest = ack.intervals[0].end - 1;
  for (std::size_t i = 0; i < ack.interval_count; ++i) {
    if (ack.intervals[i].end <= first_sent_) break;
    bool last_new = false;
    settle_acknowledged(ack.intervals[i], any_new, last_new);
    newest_new |= i == 0 && last_new;
  }
  if (!any_new) return;
  if (newest_new) {
    const Sent& sent = sent_[newest - first_sent_];
    const Duration whole = elapsed(sent.at, now);
    const Duration delay{std::min<std::uint64_t>(ack.delay_microseconds * 1'000ull, whole.raw)};
    // The peer's delay is its own word: it may not bring the estimate below the least round trip seen.
    const bool believable = whole.raw - delay.raw >= rtt_.least().raw;
    rtt_.sample(believable ? Duration{whole.raw - delay.raw} : whole);
  }
  newest_acknowledged_ = anything_acknowledged_ ? std::max(newest_acknowledged_, newest) : newest;
  anything_acknowledged_ = true;
  timeouts_ = 0;
  find_lost(now);
  pop_settled();
}

/// `last_new`: the last of the numbers was waited for, so it measures the round trip.
void DatagramLink::settle_acknowledged(const Interval& numbers, bool& any_new, bool& last_new) {
  const bool limited = stream_out_.has_bytes();
  for (std::uint64_t number = std::max(numbers.begin, first_sent_); number < numbers.end; ++number) {
    Sent& sent = sent_[number - first_sent_];
    if (sent.settled) continue;
    sent.settled = true;
    any_new |= sent.eliciting;
    last_new = sent.eliciting && number + 1 == numbers.end;
    if (sent.eliciting) --eliciting_in_flight_;
    if (sent.probe) path_.probe_arrived(sent.bytes);
    if (sent.probe) congestion_.set_packet_bytes(path_.packet_bytes());
    if (sent.bytes > 0) congestion_.acknowledged(sent.bytes, number, limited || !congestion_.has_room(sent.bytes));
    for (const Interval& piece : sent.pieces) {
      if (piece.size() > 0) stream_out_.acknowledged(piece);
    }
  }
}

/// Packets that later ones have overtaken, by number or by time, are lost.
void DatagramLink::find_lost(Instant now) {
  loss_at_ = {};
  for (std::uint64_t number = first_sent_; number < newest_acknowledged_; ++number) {
    Sent& sent = sent_[number - first_sent_];
    if (sent.settled) continue;
    const Instant late = sent.at + rtt_.reordering();
    if (number + kReorderedPackets <= newest_acknowledged_ || late <= now) {
      give_up(sent, number, !sent.probe);
    } else {
      if (loss_at_.raw == 0 || late < loss_at_) loss_at_ = late;
    }
  }
}

void DatagramLink::give_up(Sent& sent, std::uint64_t number, bool congestion) {
  sent.settled = true;
  if (sent.eliciting) --eliciting_in_flight_;
  if (!sent.probe && sent.eliciting) ++counts_.packets_lost;
  if (sent.bytes > 0 && congestion) congestion_.lost(sent.bytes, number, next_number_);
  if (sent.bytes > 0 && !congestion) congestion_.forget(sent.bytes);
  for (const Interval& piece : sent.pieces) {
    if (piece.size() > 0) stream_out_.lost(piece);
  }
}

void DatagramLink::pop_settled() {
  while (!sent_.empty() && sent_.front().settled) {
    sent_.pop_front();
    ++first_sent_;
  }
}

// --- Packets that go. ---

bool DatagramLink::ack_is_due(Instant now) const {
  return unacknowledged_ > 0 && (ack_at_once_ || unacknowledged_ >= kAckEvery || now >= ack_since_ + kAckDelay);
}

void DatagramLink::write_ack(Instant now, PacketWriter& out, std::size_t room) {
  AckFrame ack;
  ack.stream_limit = stream_in_.limit();
  const std::uint64_t delay = elapsed(received_newest_at_, now).raw / 1'000;
  ack.delay_microseconds = static_cast<std::uint32_t>(std::min<std::uint64_t>(delay, ~std::uint32_t{0}));
  const auto& intervals = received_.intervals();
  for (auto at = intervals.rbegin(); at != intervals.rend() && ack_bytes(ack.interval_count + 1) <= room; ++at) {
    ack.intervals[ack.interval_count++] = *at;
  }
  if (ack.interval_count == 0) return;
  put_ack(out, ack);
  unacknowledged_ = 0;
  ack_at_once_ = false;
}

std::optional<std::uint64_t> DatagramLink::poll_packet(Instant now, PacketWriter& out) {
  if (closed_) return {};
  if (closing_) {
    closed_ = true;
    put_close(out);
    sent_.push_back({.at = now});
    return finish(now, out.size());
  }
  if (loss_at_.raw != 0 && now >= loss_at_) {
    find_lost(now);
    pop_settled();
  }
  if (eliciting_in_flight_ > 0 && loss_at_.raw == 0 && now >= loss_deadline()) {
    // Nothing has come back for a timeout: send the oldest again, whatever the window says; the answer will tell what is lost.
    ++timeouts_;
    probes_owed_ = 2;
    ping_owed_ = true;
    last_eliciting_ = now;
    if (timeouts_ == kTimeoutsToFallBack) {
      path_.fall_back(now);
      congestion_.collapse();
      congestion_.set_packet_bytes(path_.packet_bytes());
    }
    std::size_t given_up = 0;
    for (std::uint64_t number = first_sent_; number < next_number_ && given_up < probes_owed_; ++number) {
      Sent& sent = sent_[number - first_sent_];
      if (sent.settled || !sent.eliciting) continue;
      give_up(sent, number, false);
      ++given_up;
    }
    pop_settled();
  }

  const std::size_t size_max = path_.packet_bytes();
  const bool paced = congestion_.paced(now) <= now;
  const bool may_send = probes_owed_ > 0 || (paced && congestion_.has_room(size_max));
  const bool data = may_send && stream_out_.has_bytes();
  const bool ping = ping_owed_ && !stream_out_.has_bytes();

  if (const auto size = path_.probe(now); size && anything_acknowledged_ && !stream_out_.idle()) {
    // It goes alone: its loss must cost nothing else. And only while there is traffic that larger packets would help.
    path_.probe_sent(now);
    put_ping(out);
    out.pad(*size);
    sent_.push_back({.at = now, .eliciting = true, .probe = true});
    return finish(now, out.size());
  }
  if (!data && !ping && unreliable_.empty() && !ack_is_due(now)) return {};
  Sent& sent = sent_.emplace_back();
  sent.at = now;
  if (unacknowledged_ > 0 || ack_is_due(now)) write_ack(now, out, size_max - std::min(size_max / 2, unreliable_.size()));
  for (std::size_t taken = 0; taken < unreliable_.size();) {
    const std::size_t size =
        kMessageHeaderBytes + ByteReader(std::span(unreliable_).subspan(taken + 1)).get<std::uint16_t>();
    if (out.size() + size > size_max) {
      unreliable_.erase(unreliable_.begin(), unreliable_.begin() + static_cast<std::ptrdiff_t>(taken));
      return finish(now, out.size());
    }
    out.put_bytes(std::span(unreliable_).subspan(taken, size));
    taken += size;
    if (taken == unreliable_.size()) unreliable_.clear();
  }
  if (data) {
    for (Interval& piece : sent.pieces) {
      if (out.size() + kStreamHeaderBytes >= size_max) break;
      piece = stream_out_.take(size_max - out.size() - kStreamHeaderBytes);
      if (piece.size() == 0) break;
      put_stream_header(out, piece.begin, piece.size());
      stream_out_.copy(piece, out);
      sent.eliciting = true;
    }
  }
  if (ping && !sent.eliciting && out.size() < size_max) {
    put_ping(out);
    sent.eliciting = true;
  }
  if (sent.eliciting) {
    ping_owed_ = false;
    if (probes_owed_ > 0) --probes_owed_;
  }
  return finish(now, out.size());
}

/// The last of sent_ has been written.
std::optional<std::uint64_t> DatagramLink::finish(Instant now, std::size_t packet_bytes) {
  RSE_ASSERT(packet_bytes > 0, "a packet has at least one frame");
  Sent& sent = sent_.back();
  if (sent.eliciting) {
    sent.bytes = static_cast<std::uint32_t>(packet_bytes);
    congestion_.sent(packet_bytes);
    congestion_.pace(now, packet_bytes, rtt_.smoothed());
    last_eliciting_ = now;
    asked_until_ = next_number_ + 1;
    ++eliciting_in_flight_;
  } else {
    sent.settled = true;
  }
  ++counts_.packets_sent;
  const std::uint64_t number = next_number_++;
  if (sent.settled) pop_settled();
  return number;
}

// --- Time. ---

Instant DatagramLink::ack_deadline() const {
  if (unacknowledged_ == 0) return kNever;
  return ack_at_once_ || unacknowledged_ >= kAckEvery ? Instant{} : ack_since_ + kAckDelay;
}

Instant DatagramLink::loss_deadline() const {
  const std::uint64_t wait = rtt_.timeout().raw + kAckDelay.raw;
  const std::uint64_t backed_off = wait << std::min<std::uint32_t>(timeouts_, 8);
  return last_eliciting_ + Duration{std::min(backed_off, kTimeoutMax.raw)};
}

std::optional<Instant> DatagramLink::next_deadline() const {
  Instant next = ack_deadline();
  if (loss_at_.raw != 0) {
    next = std::min(next, loss_at_);
  } else if (eliciting_in_flight_ > 0) {
    next = std::min(next, loss_deadline());
  }
  if (closed_) return {};
  if (!unreliable_.empty() || closing_ || (ping_owed_ && !stream_out_.has_bytes())) next = {};
  if (probes_owed_ > 0 && stream_out_.has_bytes()) next = {};  // one that has nothing to carry waits for what comes
  if (stream_out_.has_bytes() && congestion_.has_room(path_.packet_bytes())) next = std::min(next, congestion_.paced({}));
  if (next == kNever) return {};
  return next;
}

DatagramLink::Stats DatagramLink::stats() const {
  Stats stats = counts_;
  stats.rtt = rtt_.known() ? rtt_.smoothed() : Duration{};
  stats.rtt_least = rtt_.least();
  stats.window_bytes = congestion_.window();
  return stats;
}

}  // namespace rse
