// The producer's end of one ring: frames in, the consumer's progress out. Spec: transport/ivshmem/ring.md.
// Size: a few words; the ring is in shared memory. Threads: one. Memory: none of its own. Errors: none: a full ring takes
// nothing. Invariant: own positions are kept here and only written to the memory, so that what others write there can
// at most cost them their own messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/ivshmem/layout.h"

namespace rse {

class RingWriter {
 public:
  void bind(const RingRegion& region, std::uint32_t from, std::uint32_t to);
  /// Begins a session: what is in the ring from earlier ones is void. The consumer starts when it has seen the generation.
  void open(std::uint64_t generation);
  /// Ends the session that is open, if any.
  void close();
  bool is_open() const { return generation_ != 0; }
  std::uint64_t generation() const { return generation_; }

  /// Puts what there is room for of `message`, from its byte `done` on, and returns how many bytes of it are in the ring
  /// now. Less than all: asks the consumer to say when there is room; call again then. One copy.
  /// `message` is not empty and at most kRingMessageBytesMax.
  std::size_t put(std::span<const std::byte> message, std::size_t done);
  /// Positions: behind the last frame, and behind the last that the consumer says it has taken.
  std::uint64_t sent() const { return tail_; }
  std::uint64_t taken() const;
  /// Whether a put() that was cut short could go on. Takes back the request for a word when it could.
  bool room_again();
  /// Likewise, without taking it back.
  bool room_now();

 private:
  bool has_room(std::size_t size);
  void put_padding(std::size_t size);
  void put_frame(std::span<const std::byte> payload, std::size_t message_size, std::size_t offset);

  RingControl* control_ = nullptr;
  std::byte* data_ = nullptr;
  std::uint32_t ring_bytes_ = 0;
  std::uint64_t generation_ = 0;  // 0: none
  std::uint64_t start_ = 0;
  std::uint64_t tail_ = 0;
  std::uint64_t head_ = 0;        // as last seen
  std::uint64_t sequence_ = 0;
  bool waits_ = false;
};

}  // namespace rse
