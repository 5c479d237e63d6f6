#include "node/link_history.h"

#include <doctest/doctest.h>

namespace rse {
namespace {

LinkStats link(std::uint64_t peer, const std::string& transport, std::uint64_t rtt) {
  LinkStats stats;
  stats.peer = {peer};
  stats.transport = transport;
  stats.connected = true;
  stats.rtt_nanoseconds = rtt;
  return stats;
}

TEST_CASE("link history: median and 99th of the newest samples, for each link of its own; an end forgets them") {
  LinkHistory history;
  CHECK(history.of(link(1, "tcp", 0)).p50_nanoseconds == 0);
  for (std::uint64_t i = 0; i < 1000; ++i) history.note({link(1, "tcp", 1'000'000), link(1, "udp", 7)});  // older than what follows
  for (std::uint64_t i = 1; i <= LinkHistory::kSamples; ++i) history.note({link(1, "tcp", i), link(1, "udp", 7)});
  CHECK(history.of(link(1, "tcp", 0)).p50_nanoseconds == 128);
  CHECK(history.of(link(1, "tcp", 0)).p99_nanoseconds == 253);
  CHECK(history.of(link(1, "udp", 0)).p99_nanoseconds == 7);
  history.note({link(1, "tcp", 0), link(1, "udp", 7)});  // not known at the moment
  CHECK(history.of(link(1, "tcp", 0)).p50_nanoseconds == 128);
  history.note({link(1, "udp", 7)});
  CHECK(history.of(link(1, "tcp", 0)).p50_nanoseconds == 0);
}

}  // namespace
}  // namespace rse
