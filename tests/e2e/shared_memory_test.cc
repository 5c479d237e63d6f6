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

void kill_each_in_turn(LocalCluster& cluster) {
  CountingClient client(cluster.controls(), 3);
  for (std::size_t node = 0; node < cluster.size(); ++node) {
    CAPTURE(cluster.name(node));
    REQUIRE_MESSAGE(run_on(cluster, 60), log_tails(cluster));
    cluster.kill(node);
    REQUIRE_MESSAGE(wait_rebuilt(cluster), log_tails(cluster));
    REQUIRE_MESSAGE(run_on(cluster, 30), log_tails(cluster));
    const std::string restarted = cluster.restart(node);
    REQUIRE_MESSAGE(restarted.empty(), restarted);
    REQUIRE_MESSAGE(cluster.wait_for(healthy_on_three, kStoryLimit), log_tails(cluster));
  }
  REQUIRE_MESSAGE(run_on(cluster, 30), log_tails(cluster));
  client.stop();
  CHECK_MESSAGE(client.failure().empty(), client.failure());
  CHECK(client.accepted() > 0);
  CHECK(counted(cluster, client.sum()) == client.sum());
  const std::string sentence = verdict(cluster);
  CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence);
}

TEST_CASE("over shared memory alone, each node in turn is killed and restarted: the result is identical") {
  LocalCluster cluster({.shared_memory = true});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  const auto by_memory = [](const v1::StatusReply& status) { return linked_by(status, "ivshmem"); };
  REQUIRE_MESSAGE(cluster.wait_for(by_memory, kStoryLimit), log_tails(cluster));
  kill_each_in_turn(cluster);
}

TEST_CASE("over shared memory and TCP at once, the same") {
  LocalCluster cluster({.flags = {"--listen", "ivshmem:rse-test-" + std::to_string(free_port())}});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  const auto by_both = [](const v1::StatusReply& status) { return linked_by(status, "ivshmem") && linked_by(status, "tcp"); };
  REQUIRE_MESSAGE(cluster.wait_for(by_both, kStoryLimit), log_tails(cluster));
  kill_each_in_turn(cluster);
}

}  // namespace
}  // namespace rse
