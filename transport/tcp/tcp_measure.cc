#include "transport/tcp/tcp_measure.h"

#include <linux/tcp.h>  // netinet/tcp.h knows an older tcp_info
#include <netinet/in.h>
#include <sys/socket.h>

namespace rse {

TcpMeasure measure_tcp(int handle) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return {.rtt_nanoseconds = std::uint64_t{info.tcpi_rtt} * 1000,
          .packets_sent = info.tcpi_segs_out,
          .packets_lost = info.tcpi_total_retrans,
          .silence_nanoseconds = std::uint64_t{info.tcpi_last_data_recv} * 1'000'000,
          .bytes_acknowledged = info.tcpi_bytes_acked,
          .packets_unacknowledged = info.tcpi_unacked};
}

}  // namespace rse
