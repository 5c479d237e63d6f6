#include "transport/udp/congestion.h"

#include <algorithm>

namespace rse {

void RoundTrip::sample(Duration rtt) {
  const std::uint64_t now = std::max<std::uint64_t>(rtt.raw, 1);
  if (!known()) {
    smoothed_ = {now};
    variation_ = {now / 2};
    least_ = {now};
  } else {
    const std::uint64_t off = smoothed_.raw > now ? smoothed_.raw - now : now - smoothed_.raw;
    variation_.raw = (3 * variation_.raw + off) / 4;
    smoothed_.raw = (7 * smoothed_.raw + now) / 8;
    least_ = std::min(least_, Duration{now});
  }
  latest_ = {now};
}

Duration RoundTrip::timeout() const {
  const std::uint64_t limit = smoothed_.raw + std::max<std::uint64_t>(4 * variation_.raw, 1'000'000);
  return std::clamp(Duration{limit}, kTimeoutMin, kTimeoutMax);
}

Duration RoundTrip::reordering() const {
  const std::uint64_t base = std::max(smoothed_.raw, latest_.raw);
  return std::max(Duration{base + base / 8}, milliseconds(1));
}

void Congestion::acknowledged(std::size_t bytes, std::uint64_t number, bool limited) {
  in_flight_ -= bytes;
  if (number < recovery_until_ || !limited) return;
  if (slow_start()) {
    window_ = std::min(window_ + bytes, kWindowMax);
    return;
  }
  gained_ += bytes;
  if (gained_ < window_) return;
  gained_ -= window_;
  window_ = std::min(window_ + packet_, kWindowMax);
}

void Congestion::lost(std::size_t bytes, std::uint64_t number, std::uint64_t next) {
  in_flight_ -= bytes;
  if (number < recovery_until_) return;
  recovery_until_ = next;
  window_ = threshold_ = std::max(window_ / 2, kPacketsMin * packet_);
  gained_ = 0;
}

void Congestion::pace(Instant now, std::size_t bytes, Duration rtt) {
  // A little faster than a window a round trip, so that the window is what limits; a burst may go at once.
  const std::uint64_t gain = slow_start() ? 2 : 1;
  const std::uint64_t interval = rtt.raw * bytes / (window_ * gain + window_ / 4);
  const std::uint64_t burst = interval * kBurstPackets;
  const std::uint64_t earliest = now.raw > burst ? now.raw - burst : 0;
  next_.raw = std::max(next_.raw, earliest) + interval;
}

}  // namespace rse
