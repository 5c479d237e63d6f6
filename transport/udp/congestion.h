// How fast a link may send: the round-trip estimate (RFC 6298), the window (NewReno as in RFC 9002, so that a link shares a
// network with TCP as another TCP would) and pacing, which spreads a window over a round trip instead of sending it in a burst.
// Threads: none. Memory: none beyond the objects. Errors: none. Times are of the owner's clock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "torus/base/strong.h"

namespace rse {

class RoundTrip {
 public:
  void sample(Duration rtt);
  Duration smoothed() const { return smoothed_; }
  Duration latest() const { return latest_; }
  Duration least() const { return least_; }
  bool known() const { return latest_.raw != 0; }
  /// How long without an acknowledgement before a packet is probed for; doubled by the owner each time.
  Duration timeout() const;
  /// How long a packet may be overtaken before it counts as lost.
  Duration reordering() const;

 private:
  Duration latest_{}, least_{}, smoothed_{milliseconds(50)}, variation_{milliseconds(25)};
};

inline constexpr Duration kTimeoutMin = milliseconds(4);   // a scheduler's slice on a busy machine
inline constexpr Duration kTimeoutMax = milliseconds(1000);

class Congestion {
 public:
  explicit Congestion(std::size_t packet_bytes) : packet_(packet_bytes), window_(kInitialPackets * packet_bytes) {}
  void set_packet_bytes(std::size_t bytes) { packet_ = bytes; }

  void sent(std::size_t bytes) { in_flight_ += bytes; }
  /// `limited`: the sender had more to send; a window that is not used does not grow.
  void acknowledged(std::size_t bytes, std::uint64_t number, bool limited);
  /// Of a packet sent as `number`; `next` is the next number to be sent. One reduction a round trip.
  void lost(std::size_t bytes, std::uint64_t number, std::uint64_t next);
  /// A probe or a packet that nobody waits for any more.
  void forget(std::size_t bytes) { in_flight_ -= bytes; }
  /// Nothing has come through for several timeouts: begin again.
  void collapse() { window_ = kPacketsMin * packet_; }

  /// One packet may always be on its way, even if packets have grown beyond the window.
  bool has_room(std::size_t bytes) const { return in_flight_ == 0 || in_flight_ + bytes <= window_; }
  std::size_t window() const { return window_; }
  std::size_t in_flight() const { return in_flight_; }

  /// When the pacer lets the next packet go; before `now` or at it: at once.
  Instant paced(Instant now) const { return next_ > now ? next_ : now; }
  void pace(Instant now, std::size_t bytes, Duration rtt);

 private:
  static constexpr std::size_t kInitialPackets = 10, kPacketsMin = 2, kBurstPackets = 10;
  static constexpr std::size_t kWindowMax = 64u << 20;
  bool slow_start() const { return window_ < threshold_; }

  std::size_t packet_;
  std::size_t window_, threshold_ = kWindowMax, in_flight_ = 0, gained_ = 0;
  std::uint64_t recovery_until_ = 0;  // losses of packets before this number belong to the reduction that has been made
  Instant next_{};
};

}  // namespace rse
