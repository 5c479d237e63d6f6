// The stories of failover_test, with the daemons linked by shared memory: alone, and beside TCP.
#include <doctest/doctest.h>

#include "tests/e2e/stories.h"

namespace rse {
namespace {

/// Whether each node that answers is linked with both others by `transport`.
bool linked_by(const v1::StatusReply& status, const std::string& transport) {
  int links = 0;
  for (const v1::LinkStatus& link : status.links()) links += link.connected() && link.transport().starts_with(transport);
  return links == 2;
}

TEST_CASE("over shared memory alone, each node in turn is killed and restarted: the result is identical") {
  LocalCluster cluster({.transport = "ivshmem"});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  const auto by_memory = [](const v1::StatusReply& status) { return linked_by(status, "ivshmem"); };
  REQUIRE_MESSAGE(cluster.wait_for(by_memory, kStoryLimit), log_tails(cluster));
  kill_each_in_turn(cluster, 30);
}

TEST_CASE("over shared memory and TCP at once, the same") {
  LocalCluster cluster({.flags = {"--listen", "ivshmem:rse-test-" + std::to_string(free_port())}});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  const auto by_both = [](const v1::StatusReply& status) { return linked_by(status, "ivshmem") && linked_by(status, "tcp"); };
  REQUIRE_MESSAGE(cluster.wait_for(by_both, kStoryLimit), log_tails(cluster));
  kill_each_in_turn(cluster, 30);
}

}  // namespace
}  // namespace rse
