#include "transport/ivshmem/ring_reader.h"

#include <algorithm>
#include <cstring>

#include "torus/base/assert.h"
#include "transport/ivshmem/frame_check.h"

namespace rse {
namespace {

constexpr std::size_t kBufferBytesKept = 1u << 20;

}  // namespace

void RingReader::bind(const RingRegion& region, std::uint32_t from, std::uint32_t to) {
  control_ = &region.ring(from, to);
  data_ = region.ring_data(from, to);
  ring_bytes_ = region.ring_bytes();
}

bool RingReader::join(std::uint64_t generation) {
  if (generation == 0 || load_acquire(control_->generation) != generation) return false;
  const std::uint64_t start = load_acquire(control_->start);
  if (start % kFrameAlignment != 0) return false;
  generation_ = generation;
  head_ = tail_ = start;
  sequence_ = 0;
  assembled_ = message_size_ = 0;
  store_release(control_->head, head_);
  store_release(control_->seen_generation, generation_);
  return true;
}

void RingReader::leave() { generation_ = 0; }

RingPoll RingReader::poll() {
  RSE_ASSERT(joined(), "no session to read");
  if (assembled_ == message_size_) assembled_ = message_size_ = 0;  // the last one has been handed out
  if (head_ == tail_) {
    const std::uint64_t tail = load_acquire(control_->tail);
    // The producer marks the session as over before it moves the tail for the next: seen in this order, too.
    if (load_acquire(control_->generation) != generation_) return RingPoll::kClosed;
    if (tail == head_) {
      // Somebody wrote over our position: the producer would wait for ever.
      if (load_relaxed(control_->head) != head_) store_release(control_->head, head_);
      return RingPoll::kEmpty;
    }
    if (tail - head_ > ring_bytes_ || tail % kFrameAlignment != 0) return RingPoll::kDamaged;
    tail_ = tail;
  }
  return take_frame(tail_ - head_);
}

RingPoll RingReader::take_frame(std::uint64_t available) {
  const std::size_t at = head_ & (ring_bytes_ - 1);
  RingFrame frame;
  std::memcpy(&frame, data_ + at, sizeof frame);
  if (frame.sequence != sequence_) return RingPoll::kDamaged;
  const std::uint64_t seed = frame_seed(frame, generation_);
  if (frame.magic == kRingPaddingMagic) {
    const std::size_t to_end = ring_bytes_ - at;
    if (frame.check != seed || to_end > available || frame.size != to_end - sizeof frame) return RingPoll::kDamaged;
    consume(to_end);
    return RingPoll::kPart;
  }
  if (frame.magic != kRingFrameMagic || !fits(frame, available)) return RingPoll::kDamaged;
  make_room(assembled_ + frame.size, frame.message_size);
  const std::uint64_t sum = checked_copy(begin() + assembled_, data_ + at + sizeof frame, frame.size, seed, SumOf::kCopy);
  if (sum != frame.check) return RingPoll::kDamaged;
  message_size_ = frame.message_size;
  assembled_ += frame.size;
  consume(frame_bytes(frame.size));
  return assembled_ == message_size_ ? RingPoll::kMessage : RingPoll::kPart;
}

bool RingReader::fits(const RingFrame& frame, std::uint64_t available) const {
  const std::size_t to_end = ring_bytes_ - (head_ & (ring_bytes_ - 1));
  if (frame.size == 0 || frame.size > frame_payload_max(ring_bytes_)) return false;
  if (frame_bytes(frame.size) > std::min<std::uint64_t>(available, to_end)) return false;
  if (frame.message_size > kRingMessageBytesMax || frame.offset != assembled_) return false;
  if (assembled_ != 0 && frame.message_size != message_size_) return false;
  return frame.size <= frame.message_size - assembled_ && frame.message_size > assembled_;
}

void RingReader::consume(std::size_t size) {
  head_ += size;
  ++sequence_;
  store_release(control_->head, head_);
}

/// For `size` bytes of a message of `message_size`. A large buffer is given back when small messages come again.
void RingReader::make_room(std::size_t size, std::size_t message_size) {
  if (assembled_ == 0 && message_size <= kBufferBytesKept && room_ > kBufferBytesKept) room_ = 0;
  if (size <= room_) return;
  room_ = std::max<std::size_t>(std::min<std::size_t>(2 * room_, kRingMessageBytesMax), size);
  Bytes larger(room_ + kFrameAlignment);
  const std::size_t past_line = reinterpret_cast<std::uintptr_t>(larger.data()) % kFrameAlignment;
  const std::size_t offset = (kFrameAlignment - past_line) % kFrameAlignment;
  if (assembled_ != 0) std::memcpy(larger.data() + offset, begin(), assembled_);
  buffer_ = std::move(larger);
  offset_ = offset;
}

bool RingReader::has_more() const {
  return head_ != tail_ || load_acquire(control_->tail) != head_ || load_acquire(control_->generation) != generation_;
}

bool RingReader::should_tell_producer() const {
  if (load_relaxed(control_->space_wanted) != 1) return false;
  const std::uint64_t pending = load_relaxed(control_->tail) - head_;
  return pending <= ring_bytes_ / 2 || pending > ring_bytes_;
}

}  // namespace rse
