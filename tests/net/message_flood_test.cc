#include "tests/net/message_flood.h"

#include <doctest/doctest.h>

namespace rse {

TEST_CASE("udp: of 200,000 messages through a network that loses, doubles and reorders, each comes once, in order and whole") {
  if (const std::string why = TestNetwork::unavailable(); !why.empty()) {
    MESSAGE("skipped: " << why);
    return;
  }
  const FloodOptions options;
  const FloodResult result = flood(options);
  REQUIRE_MESSAGE(result.failure.empty(), result.failure);
  for (const FloodEnd& end : result.ends) {
    CHECK(end.received == options.messages / 2);
    CHECK(end.wrong == 0);
    CHECK(end.links_lost == 0);
  }
  CHECK(result.whole(options.messages));
  CHECK(result.network.lost > result.network.accepted / 20);
  CHECK(result.network.doubled > result.network.accepted / 20);
  CHECK(result.network.overtaken > result.network.accepted / 20);
}

}  // namespace rse
