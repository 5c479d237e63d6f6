// How large a packet the path carries: probed upwards from what every path carries, and back down when large packets vanish
// (RFC 8899: no ICMP is needed or believed).
// Threads, memory, errors: none.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "torus/base/strong.h"
#include "transport/udp/frames.h"

namespace rse {

class PathSize {
 public:
  /// `overhead`: bytes of a datagram's payload that are not the packet's. `datagram_bytes_max`: 0, or what to stay below.
  explicit PathSize(std::size_t overhead, std::size_t datagram_bytes_max = 0) {
    // Payloads of: IPv6's minimum, PPPoE, Ethernet over IPv6 and over IPv4, jumbo frames. IP and UDP headers are not counted.
    for (std::size_t payload : {1232u, 1452u, 1472u, 8952u}) {
      if (datagram_bytes_max != 0 && payload > datagram_bytes_max) break;
      sizes_[count_++] = payload - overhead;
    }
    if (count_ == 0) sizes_[count_++] = kPacketBytesMin - overhead;
  }
  std::size_t packet_bytes() const { return sizes_[at_]; }
  std::size_t packet_bytes_max() const { return sizes_[std::min(at_ + 1, count_ - 1)]; }
  /// The size to probe, if it is time to.
  std::optional<std::size_t> probe(Instant now) const {
    if (at_ + 1 >= count_ || now < next_probe_) return {};
    return sizes_[at_ + 1];
  }
  void probe_sent(Instant now) {
    ++tries_;
    next_probe_ = now + milliseconds(tries_ < 3 ? 100 : 60'000);
    if (tries_ >= 3) tries_ = 0;
  }
  void probe_arrived(std::size_t bytes) {
    while (at_ + 1 < count_ && sizes_[at_ + 1] <= bytes) ++at_;
    tries_ = 0;
    next_probe_ = {};
  }
  /// Several full packets in a row were lost and nothing came back: perhaps the path has changed.
  void fall_back(Instant now) {
    at_ = 0;
    tries_ = 0;
    next_probe_ = now + milliseconds(10'000);
  }

 private:
  std::array<std::size_t, 4> sizes_{};
  std::size_t count_ = 0, at_ = 0;
  std::uint32_t tries_ = 0;
  Instant next_probe_{};
};

}  // namespace rse
