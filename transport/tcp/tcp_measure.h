// What the kernel knows of a connection. Threads: any. Errors: zeros.
#pragma once

#include <cstdint>

namespace rse {

struct TcpMeasure {
  std::uint64_t rtt_nanoseconds = 0;  // smoothed (RFC 6298); 0: not known yet
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_lost = 0;     // sent again: some perhaps without need
  std::uint64_t silence_nanoseconds = 0;  // since the last bytes came; the kernel counts milliseconds
  std::uint64_t bytes_acknowledged = 0;
  std::uint64_t packets_unacknowledged = 0;
};
TcpMeasure measure_tcp(int handle);

}  // namespace rse
