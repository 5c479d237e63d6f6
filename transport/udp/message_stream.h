// Messages as a stream of bytes, each after its size (u32): the sending end keeps what has not been acknowledged, the receiving
// end puts together what comes in any order, doubled or in pieces, and gives out whole messages in order, once each.
// Threads: none. Memory: the sender's queue (bounded by its owner); the receiver's window, kReceiveWindowBytes, and one
// message that grows as its bytes come. Errors: a message beyond the limit, or bytes beyond the window, are a broken peer.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/shared_bytes.h"
#include "transport/udp/frames.h"
#include "transport/udp/interval_set.h"

namespace rse {

inline constexpr std::size_t kReceiveWindowBytes = 2u << 20;

class SendStream {
 public:
  void push(std::span<const SharedBytes> parts, std::size_t size);
  std::size_t unacknowledged_bytes() const { return end_ - begin_; }
  std::size_t unsent_bytes() const { return end_ - next_; }
  bool idle() const { return begin_ == end_; }
  /// Something may be sent that has not been sent, or was lost.
  bool has_bytes() const { return !lost_.empty() || next_ < std::min(end_, limit_); }
  bool waits_for_limit() const { return lost_.empty() && next_ < end_ && next_ >= limit_; }
  /// The next at most `size_max` bytes to send: what was lost first. Empty: none. They count as sent.
  Interval take(std::size_t size_max);
  void copy(Interval piece, PacketWriter& out) const;
  void acknowledged(Interval piece);
  void lost(Interval piece);
  void set_limit(std::uint64_t limit) { limit_ = std::max(limit_, limit); }

 private:
  struct Chunk {
    std::uint64_t offset;
    Bytes bytes;
  };
  std::deque<Chunk> chunks_;  // of messages that are not acknowledged as a whole
  Bytes spare_;               // memory of one that was, for the next
  std::uint64_t begin_ = 0;   // all before are acknowledged
  std::uint64_t next_ = 0;    // never sent from here on
  std::uint64_t end_ = 0;
  std::uint64_t limit_ = kReceiveWindowBytes;  // what the other takes
  IntervalSet acknowledged_, lost_;
};

class ReceiveStream {
 public:
  explicit ReceiveStream(std::size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}
  /// Calls `deliver` for each message that is whole now. False: the peer breaks the rules; the link has to end.
  bool take(std::uint64_t offset, std::span<const std::byte> bytes,
            const std::function<void(std::span<const std::byte>)>& deliver);
  /// Of messages from the next one on.
  void set_message_bytes_max(std::size_t size) { message_bytes_max_ = size; }
  std::uint64_t limit() const { return begin_ + kReceiveWindowBytes; }

 private:
  bool consume(std::span<const std::byte> bytes, const std::function<void(std::span<const std::byte>)>& deliver);

  std::size_t message_bytes_max_;
  std::uint64_t begin_ = 0;   // all before has been consumed
  IntervalSet ahead_;         // what is in the ring beyond it
  std::vector<std::byte> ring_;  // byte n at n mod its size; made when the first byte comes out of order
  Bytes header_, message_;
  std::size_t message_size_ = 0;
};

}  // namespace rse
