// What a datagram between two linked nodes carries once it has been opened: frames, one after the other. Spec: udp.md.
// Size: a packet is at most kPacketBytesMax. Threads: none. Memory: the reader allocates nothing and points into the packet.
// Errors: a packet with anything that does not fit is refused as a whole.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "torus/base/assert.h"
#include "torus/base/bytes.h"
#include "transport/udp/interval_set.h"

namespace rse {

inline constexpr std::size_t kPacketBytesMin = 1200;  // every network of today carries that much (RFC 8899, 9000)
inline constexpr std::size_t kPacketBytesMax = 8952;  // of an Ethernet with jumbo frames
inline constexpr std::size_t kAckIntervalsMax = 12;  // a gap is told of at once, so more would be repetition
inline constexpr std::size_t kStreamHeaderBytes = 1 + 8 + 2;
inline constexpr std::size_t kMessageHeaderBytes = 1 + 2;

enum class FrameType : std::uint8_t {
  kPad = 0,      // the rest of the packet is zeros
  kAck = 1,      // which packets have come
  kStream = 2,   // bytes of the stream of messages
  kMessage = 3,  // a whole message that may be lost
  kPing = 4,     // wants an acknowledgement, nothing else
  kClose = 5,    // the sender has ended the link
};

struct AckFrame {
  std::uint64_t stream_limit = 0;   // the sender of this takes bytes of the stream before this offset
  std::uint32_t delay_microseconds = 0;  // since the newest packet came
  std::size_t interval_count = 0;
  std::array<Interval, kAckIntervalsMax> intervals;  // so many of packet numbers, descending, not touching; the rest is undefined
};
struct StreamFrame {
  std::uint64_t offset = 0;
  std::span<const std::byte> bytes;
};

class FrameVisitor {
 public:
  virtual ~FrameVisitor() = default;
  virtual void on_ack(const AckFrame& ack) = 0;
  virtual void on_stream(const StreamFrame& stream) = 0;
  virtual void on_message(std::span<const std::byte> message) = 0;
  virtual void on_ping() = 0;
  virtual void on_close() = 0;
};
/// Checks the whole packet, then visits its frames in order. False: malformed, nothing was visited.
bool read_frames(std::span<const std::byte> packet, FrameVisitor& visitor);

/// Bytes that the frame takes with that many intervals.
constexpr std::size_t ack_bytes(std::size_t intervals) { return 1 + 8 + 4 + 1 + intervals * 16; }

/// A packet that is being written, into bytes that somebody else keeps; who writes has seen to the room.
class PacketWriter {
 public:
  explicit PacketWriter(std::span<std::byte> all) : all_(all) {}
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<std::byte> bytes() const { return all_.first(size_); }
  template <std::integral T>
  void put(T value) { std::memcpy(next(sizeof value), &value, sizeof value); }
  void put_bytes(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(next(bytes.size()), bytes.data(), bytes.size());
  }
  /// Zeros up to a packet of `size` bytes.
  void pad(std::size_t size) {
    const std::size_t missing = size - size_;
    std::memset(next(missing), 0, missing);
  }

 private:
  std::byte* next(std::size_t size) {
    RSE_ASSERT(size <= all_.size() - size_, "a packet has its bound");
    size_ += size;
    return all_.data() + size_ - size;
  }
  std::span<std::byte> all_;
  std::size_t size_ = 0;
};

void put_ack(PacketWriter& out, const AckFrame& ack);
/// The header of `size` bytes of the stream, which the caller writes after it.
void put_stream_header(PacketWriter& out, std::uint64_t offset, std::size_t size);
void put_message(PacketWriter& out, std::span<const std::byte> message);
void put_ping(PacketWriter& out);
void put_close(PacketWriter& out);

}  // namespace rse
