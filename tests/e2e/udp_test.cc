// The stories of failover_test, with the daemons linked over UDP, and each pair by another transport.
#include <doctest/doctest.h>

#include "tests/e2e/stories.h"

namespace rse {
namespace {

/// What carries messages from the node that answers to `peer`: of several links, the one in use is listed first.
std::string carrier_to(const v1::StatusReply& status, const std::string& peer) {
  for (const v1::ViewMember& member : status.view().members()) {
    if (member.name() != peer) continue;
    for (const v1::LinkStatus& link : status.links())
      if (link.peer() == member.node()) return link.connected() ? link.transport().substr(0, 3) : "";
  }
  return "";
}

TEST_CASE("over UDP alone, each node in turn is killed and restarted: the result is identical") {
  LocalCluster cluster({.transport = "udp"});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  const auto by_udp = [](const v1::StatusReply& status) {
    int links = 0;
    for (const v1::LinkStatus& link : status.links()) links += link.connected() && link.transport().starts_with("udp");
    return links == 2;
  };
  REQUIRE_MESSAGE(cluster.wait_for(by_udp, kStoryLimit), log_tails(cluster));
  kill_each_in_turn(cluster, 30);
}

TEST_CASE("with shared memory, UDP and TCP between the three pairs, the same") {
  LocalCluster cluster({.transport = "mixed"});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  const auto mixed = [&](const v1::StatusReply&) {
    const auto a = cluster.status_of(0), b = cluster.status_of(1), c = cluster.status_of(2);
    return a && b && c && carrier_to(*a, "b") == "ivs" && carrier_to(*b, "c") == "udp" && carrier_to(*c, "a") == "tcp";
  };
  REQUIRE_MESSAGE(cluster.wait_for(mixed, kStoryLimit), log_tails(cluster));
  kill_each_in_turn(cluster, 30);
}

}  // namespace
}  // namespace rse
