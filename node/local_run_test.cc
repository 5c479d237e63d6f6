// The run of three tori in one process: threads, leaps and recorded seals change no digest.
#include "node/local_run.h"

#include <doctest/doctest.h>

#include <mutex>

#include "torus/braid/machine_story.h"

namespace rse {
namespace {

struct Outcome {
  std::array<Digest256, kTorusCount> states;
  std::vector<std::uint64_t> epochs;          // that were run
  std::vector<std::uint64_t> event_digests;   // of the three tori, each epoch
};

Outcome outcome_of(LocalRun& run, const Scenario& scenario, std::uint64_t epochs) {
  std::string failure;
  Outcome outcome;
  run.set_epoch_callback([&](Epoch epoch, const LocalRun::EpochPackets& packets) {
    outcome.epochs.push_back(epoch.raw);
    for (const Packet* packet : packets) {
      CHECK(packet->epoch == epoch);
      outcome.event_digests.push_back(packet->projection.event_digest);
    }
  });
  REQUIRE(run.load(scenario, failure));
  run.run(Epoch{epochs});
  CHECK(run.alarm() == "");
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    CHECK(run.machine({torus}).next_epoch() == Epoch{epochs});
    outcome.states[torus] = run.machine({torus}).region_digests().state_digest();
  }
  return outcome;
}

TEST_CASE("local run: one thread or three, the digests are the same, leaps or not") {
  const LocalRun::Options one{.run = RunId{3}, .capacity = kStoryCapacity, .threads = RunThreads::kOne};
  LocalRun::Options three = one;
  three.threads = RunThreads::kThree;
  LocalRun::Options patient = one;
  patient.leaps = Leaps::kNever;
  LocalRun run_one(one);
  LocalRun run_three(three);
  LocalRun run_patient(patient);
  std::mutex mutex;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const bool sparse = seed % 2 == 0;
    const Scenario scenario = random_scenario(seed, {.with_programs = seed % 3 == 0, .sparse = sparse});
    NaiveBraid::SealRecord seals;
    Random random(seed);
    run_one.set_seal_source([&](TorusId torus, Epoch epoch, bool must_be_empty) {
      Seal seal;
      if (random.below(100) < (sparse ? 1u : 20u)) seal = random_seal(random, torus, must_be_empty, true);
      return seals[{epoch.raw, torus.raw}] = seal;
    });
    const auto replay = [&](TorusId torus, Epoch epoch, bool) {
      const std::lock_guard lock(mutex);
      const auto found = seals.find({epoch.raw, torus.raw});
      return found == seals.end() ? Seal{} : found->second;
    };
    run_three.set_seal_source(replay);
    run_patient.set_seal_source(replay);
    const Outcome expected = outcome_of(run_one, scenario, 90);
    const Outcome threads = outcome_of(run_three, scenario, 90);
    CHECK(threads.states == expected.states);
    CHECK(threads.epochs == expected.epochs);
    CHECK(threads.event_digests == expected.event_digests);
    const Outcome steps = outcome_of(run_patient, scenario, 90);
    CHECK(steps.states == expected.states);
    CHECK(steps.epochs.size() == 90);
  }
}

TEST_CASE("local run: going on from N is going there at once") {
  LocalRun at_once({.run = RunId{1}, .capacity = kStoryCapacity, .threads = RunThreads::kOne});
  LocalRun in_steps({.run = RunId{1}, .capacity = kStoryCapacity, .threads = RunThreads::kThree});
  std::string failure;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const Scenario scenario = random_scenario(seed, {.sparse = true});
    const Outcome expected = outcome_of(at_once, scenario, 150);
    in_steps.set_epoch_callback(nullptr);
    REQUIRE(in_steps.load(scenario, failure));
    Random random(seed);
    for (std::uint64_t epochs = 0; epochs <= 150; epochs += 1 + random.below(20)) in_steps.run(Epoch{epochs});
    in_steps.run(Epoch{150});
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      CHECK(in_steps.machine({torus}).region_digests().state_digest() == expected.states[torus]);
    }
  }
}

TEST_CASE("local run: a scenario that a torus cannot hold is refused by name") {
  LocalRun run({.run = RunId{1}, .capacity = kStoryCapacity, .threads = RunThreads::kOne});
  Scenario scenario;
  std::string failure;
  scenario.processes = {{cell_at({1}, 1, 1, 1), "phold", "remote=10"}, {cell_at({1}, 1, 1, 1), "phold", "remote=1000"}};
  CHECK(!run.load(scenario, failure));
  CHECK(failure == "torus B cannot load the scenario: bad program arguments at process 2 (phold \"remote=1000\")");
}

}  // namespace
}  // namespace rse
