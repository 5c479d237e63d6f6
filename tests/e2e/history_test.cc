// What is known afterwards: a node is killed, and its death has one story, whoever is asked and even when nobody runs any more.
#include <doctest/doctest.h>

#include "tests/e2e/process.h"
#include "tests/e2e/stories.h"

namespace rse {
namespace {

bool says(const Finished& finished, const std::string& words) { return finished.output.find(words) != std::string::npos; }

Finished rse(LocalCluster& cluster, std::vector<std::string> words) {
  words.insert(words.begin(), find_binary("rse"));
  for (const std::string& control : cluster.running_controls()) words.insert(words.end(), {"--control", control});
  return run_program(words);
}

TEST_CASE("history: a killed node has one story, told by each of the survivors while they run and by their directories afterwards") {
  LocalCluster cluster({});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  REQUIRE(run_on(cluster, 20));
  CHECK(rse(cluster, {"incident"}).exit_code == 1);
  cluster.kill(1);
  REQUIRE_MESSAGE(wait_rebuilt(cluster), log_tails(cluster));
  REQUIRE(run_on(cluster, 20));

  const Finished history = rse(cluster, {"history"});
  CHECK(history.exit_code == 0);
  CHECK_MESSAGE(says(history, "b died: torus "), history.output);
  CHECK_MESSAGE(says(history, " grew back on "), history.output);
  CHECK(history.output.find("b died") == history.output.rfind("b died"));
  const Finished incident = rse(cluster, {"incident"});
  CHECK(incident.exit_code == 0);
  for (const char* phase : {"suspected ", "view agreed ", "shards gathered ", "replayed ", "verified, running "}) CHECK_MESSAGE(says(incident, phase), incident.output);
  for (const std::string& control : cluster.running_controls()) {  // whoever has rebuilt the torus has told the other
    const Finished alone = run_program({find_binary("rse"), "incident", "--control", control});
    for (const char* phase : {"shards gathered ", "replayed ", "verified, running "}) CHECK_MESSAGE(says(alone, phase), alone.output);
  }
  const std::string name = incident.output.substr(0, incident.output.find(' '));
  CHECK(rse(cluster, {"incident", name}).output == incident.output);
  const Finished unknown = rse(cluster, {"incident", "z:99"});
  CHECK(unknown.exit_code == 1);
  CHECK_MESSAGE(says(unknown, "there is no incident z:99"), unknown.output);
  Finished samples;  // one a second: the first may not be there yet
  const auto end = std::chrono::steady_clock::now() + kStoryLimit;
  while (!says(samples, "HEALTHY") && !says(samples, "UNPROTECTED") && std::chrono::steady_clock::now() < end)
    samples = rse(cluster, {"history", "--samples", "10"});
  CHECK_MESSAGE(std::chrono::steady_clock::now() < end, samples.output);

  const std::string directory = cluster.directory();
  CHECK(cluster.terminate(0) == 0);
  CHECK(cluster.terminate(2) == 0);
  const Finished afterwards =
      run_program({find_binary("rse"), "history", "--data-dir", directory + "/a", "--data-dir", directory + "/c", "--json"});
  CHECK_MESSAGE(says(afterwards, "\"kind\":\"PEER_LOST\""), afterwards.output);
}

}  // namespace
}  // namespace rse
