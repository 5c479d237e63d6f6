// The consumer's end of one ring: whole messages out of memory that somebody else, perhaps dying, broken or hostile,
// writes. Spec: transport/ivshmem/ring.md.
// Size: a few words and the message being put together. Threads: one. Memory: at most one message, and it grows with what has
// arrived, not with what was announced. Errors: values. Invariant: a header is copied before it is looked at, every number in it
// is bounded before it is used, and a poll takes at most one frame, whatever the memory holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "torus/base/bytes.h"
#include "transport/ivshmem/layout.h"

namespace rse {

enum class RingPoll : std::uint8_t {
  kEmpty,
  kPart,     // took a frame that ends no message
  kMessage,  // message() is whole
  kClosed,   // the producer has ended the session, or begun another
  kDamaged,  // what is there is no frame of this session: nothing behind it can be trusted
};

class RingReader {
 public:
  void bind(const RingRegion& region, std::uint32_t from, std::uint32_t to);
  /// The generation in the ring, with kClosedBit where the session is over.
  std::uint64_t offered() const { return load_acquire(control_->generation); }
  /// Starts to read session `generation`. False: the ring does not carry it.
  bool join(std::uint64_t generation);
  void leave();
  bool joined() const { return generation_ != 0; }

  /// Not after kClosed or kDamaged, until join().
  RingPoll poll();
  /// After kMessage, until the next poll().
  std::span<const std::byte> message() const { return {buffer_.data() + offset_, message_size_}; }
  /// Whether poll() would find something. Reads the memory, not what was remembered of it.
  bool has_more() const;
  /// Whether the producer waits for room, and there is a good deal of it again.
  bool should_tell_producer() const;

 private:
  RingPoll take_frame(std::uint64_t available);
  bool fits(const RingFrame& frame, std::uint64_t available) const;
  void consume(std::size_t size);
  void make_room(std::size_t size, std::size_t message_size);
  std::byte* begin() { return buffer_.data() + offset_; }

  RingControl* control_ = nullptr;
  const std::byte* data_ = nullptr;
  std::uint32_t ring_bytes_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;          // as last seen, at most a ring ahead of head_
  std::uint64_t sequence_ = 0;
  Bytes buffer_;
  std::size_t offset_ = 0;          // of the message in it: at the beginning of a cache line, where sums find what was just written
  std::size_t room_ = 0;            // for a message, from there on
  std::size_t assembled_ = 0;
  std::size_t message_size_ = 0;    // of the message being put together; 0: none
};

}  // namespace rse
