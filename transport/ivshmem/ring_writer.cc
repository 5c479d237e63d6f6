#include "transport/ivshmem/ring_writer.h"

#include <algorithm>
#include <cstring>

#include "torus/base/assert.h"
#include "transport/ivshmem/frame_check.h"

namespace rse {

void RingWriter::bind(const RingRegion& region, std::uint32_t from, std::uint32_t to) {
  control_ = &region.ring(from, to);
  data_ = region.ring_data(from, to);
  ring_bytes_ = region.ring_bytes();
}

void RingWriter::open(std::uint64_t generation) {
  RSE_ASSERT(generation != 0 && (generation & kClosedBit) == 0, "no generation of a session");
  // In this order: whoever sees the new tail sees that the old session is over.
  store_release(control_->generation, load_relaxed(control_->generation) | kClosedBit);
  // The old position goes on, so that a consumer that is late finds no frame of ours where one of its session was.
  const std::uint64_t old = std::max(tail_, load_relaxed(control_->tail));
  start_ = ((old & (kClosedBit - 1)) / kFrameAlignment + 1) * kFrameAlignment;
  tail_ = head_ = start_;
  sequence_ = 0;
  generation_ = generation;
  waits_ = false;
  store_relaxed(control_->space_wanted, 0);
  store_release(control_->start, start_);
  store_release(control_->tail, tail_);
  store_release(control_->generation, generation_);
}

void RingWriter::close() {
  if (generation_ == 0) return;
  store_release(control_->generation, generation_ | kClosedBit);
  generation_ = 0;
  waits_ = false;
}

std::size_t RingWriter::put(std::span<const std::byte> message, std::size_t done) {
  RSE_ASSERT(is_open() && !message.empty() && message.size() <= kRingMessageBytesMax, "no message for this ring");
  const std::size_t payload_max = frame_payload_max(ring_bytes_);
  while (done < message.size()) {
    const std::size_t size = std::min(message.size() - done, payload_max);
    const std::size_t need = frame_bytes(size);
    const std::size_t to_end = ring_bytes_ - (tail_ & (ring_bytes_ - 1));
    const std::size_t padding = need > to_end ? to_end : 0;
    if (!has_room(padding + need)) {
      waits_ = true;
      store_relaxed(control_->space_wanted, 1);
      return done;
    }
    if (padding != 0) put_padding(padding);
    put_frame(message.subspan(done, size), message.size(), done);
    done += size;
  }
  return done;
}

std::uint64_t RingWriter::taken() const {
  return load_acquire(control_->seen_generation) == generation_ ? load_acquire(control_->head) : start_;
}

bool RingWriter::room_now() {
  return waits_ && has_room(2 * frame_bytes(frame_payload_max(ring_bytes_)));
}

bool RingWriter::room_again() {
  if (!room_now()) return false;
  waits_ = false;
  store_relaxed(control_->space_wanted, 0);
  return true;
}

/// Looks at the consumer's position only when the one remembered does not do.
bool RingWriter::has_room(std::size_t size) {
  if (tail_ + size - head_ <= ring_bytes_) return true;
  if (load_acquire(control_->seen_generation) != generation_) return false;
  const std::uint64_t head = load_acquire(control_->head);
  if (head - head_ > tail_ - head_) return false;  // not between: damaged; the consumer writes it again
  head_ = head;
  return tail_ + size - head_ <= ring_bytes_;
}

void RingWriter::put_padding(std::size_t size) {
  RingFrame frame{};
  frame.magic = kRingPaddingMagic;
  frame.size = static_cast<std::uint32_t>(size - sizeof frame);
  frame.sequence = sequence_++;
  frame.check = frame_seed(frame, generation_);
  std::memcpy(data_ + (tail_ & (ring_bytes_ - 1)), &frame, sizeof frame);
  tail_ += size;
}

void RingWriter::put_frame(std::span<const std::byte> payload, std::size_t message_size, std::size_t offset) {
  RingFrame frame{};
  frame.magic = kRingFrameMagic;
  frame.size = static_cast<std::uint32_t>(payload.size());
  frame.message_size = static_cast<std::uint32_t>(message_size);
  frame.offset = static_cast<std::uint32_t>(offset);
  frame.sequence = sequence_++;
  std::byte* const to = data_ + (tail_ & (ring_bytes_ - 1));
  frame.check = checked_copy(to + sizeof frame, payload.data(), payload.size(), frame_seed(frame, generation_), SumOf::kSource);
  std::memcpy(to, &frame, sizeof frame);
  tail_ += frame_bytes(payload.size());
  store_release(control_->tail, tail_);
}

}  // namespace rse
