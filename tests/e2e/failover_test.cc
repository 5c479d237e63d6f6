// Real processes on loopback: one is killed under load, and nobody can tell from the result.
#include <doctest/doctest.h>

#include "tests/e2e/stories.h"

namespace rse {
namespace {

TEST_CASE("each node in turn is killed under load, its torus rebuilt, the node restarted: the result is identical") {
  LocalCluster cluster({});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  kill_each_in_turn(cluster, 50);
}

TEST_CASE("all three are killed at once and started again: they resume, and no acknowledged injection is lost") {
  LocalCluster cluster({});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  CountingClient client(cluster.controls(), 5);
  REQUIRE_MESSAGE(run_on(cluster, 200), log_tails(cluster));
  for (std::size_t node = 0; node < cluster.size(); ++node) cluster.kill(node);
  for (std::size_t node = 0; node < cluster.size(); ++node) {
    const std::string restarted = cluster.restart(node);
    REQUIRE_MESSAGE(restarted.empty(), restarted);
  }
  REQUIRE_MESSAGE(cluster.wait_for(healthy_on_three, kStoryLimit), log_tails(cluster));
  REQUIRE_MESSAGE(run_on(cluster, 100), log_tails(cluster));
  client.stop();
  CHECK_MESSAGE(client.failure().empty(), client.failure());
  CHECK(counted(cluster, client.sum()) == client.sum());
  const std::string sentence = verdict(cluster);
  CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence);
}

TEST_CASE("SIGTERM ends a node with exit code 0, and the others take over at once") {
  LocalCluster cluster({});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  REQUIRE(run_on(cluster, 50));
  CHECK(cluster.terminate(1) == 0);
  REQUIRE_MESSAGE(wait_rebuilt(cluster), log_tails(cluster));
  REQUIRE_MESSAGE(run_on(cluster, 50), log_tails(cluster));
  const std::string sentence = verdict(cluster);
  CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence);
}

}  // namespace
}  // namespace rse
