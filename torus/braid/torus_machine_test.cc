// The machine beside the naive reference: everything that a projection says, for each epoch that was run, over random
// scenarios with coupling, adaptive epochs, injections and leaps.
#include "torus/braid/torus_machine.h"

#include <doctest/doctest.h>

#include "torus/braid/epochs.h"
#include "torus/braid/machine_story.h"

namespace rse {
namespace {

/// Machines that leap against the reference that runs every epoch, with the seals that the machines recorded.
struct Comparison {
  std::uint64_t epochs_run = 0;
  std::uint64_t epochs_skipped = 0;
  std::uint64_t violations = 0;
  std::uint64_t corrective = 0;
  std::uint64_t lengthened = 0;
  std::uint64_t shortened = 0;
  std::uint64_t events = 0;
  std::uint64_t bursts = 0;
};

void compare_epoch(Lockstep& machines, Epoch epoch, const NaiveBraid& naive, Comparison& seen) {
  const NaiveBraid::EpochRecord& record = naive.epoch(epoch.raw);
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
    CAPTURE(torus);
    const Packet* const packet = machines[torus].own_packet(epoch);
    REQUIRE(packet != nullptr);
    Projection got = packet->projection;
    Projection expected = record.projections[torus];
    expected.run = RunId{9};
    got.quiet = false;
    CHECK(got.event_digest == expected.event_digest);
    CHECK(got.end_tick == expected.end_tick);
    CHECK(got.violations == expected.violations);
    CHECK(got.pending == expected.pending);
    CHECK(got.events == expected.events);
    CHECK(got.refused == expected.refused);
    CHECK(got.edges == expected.edges);
    CHECK(got.next_event_time == expected.next_event_time);
    CHECK(got.constraint_vector == expected.constraint_vector);
    REQUIRE(got == expected);
    CHECK(packet->batch_to_next == record.batches[torus][(torus + 1) % 3]);
    CHECK(packet->batch_to_previous == record.batches[torus][(torus + 2) % 3]);
    seen.events += got.load;
  }
}

void compare(std::uint64_t seed, const StoryOptions& options, std::uint64_t epochs, Lockstep& machines, Comparison& seen) {
  CAPTURE(seed);
  const Scenario scenario = random_scenario(seed, options);
  machines.load(RunId{9}, scenario, Epoch{epochs});
  machines.seal_percent = options.sparse ? 1 : 10;
  NaiveBraid naive(scenario);
  Random random(seed ^ 0x5EA1);
  while (machines.next_epoch() < Epoch{epochs}) {
    const Epoch epoch = machines.next_epoch();
    CAPTURE(epoch.raw);
    machines.run_epoch(random);
    while (naive.epoch_count() < epoch.raw + 1) {  // the epochs that the machines leapt over come first
      naive.run_epoch(machines.seals());
      ++seen.epochs_skipped;
      const std::uint64_t j = naive.epoch_count() - 1;
      if (j > 0 && naive.epoch(j).length > naive.epoch(j - 1).length) ++seen.lengthened;
      if (j > 0 && naive.epoch(j).length < naive.epoch(j - 1).length) ++seen.shortened;
    }
    --seen.epochs_skipped;
    ++seen.epochs_run;
    if (machines[0].torus().counters().refused + machines[1].torus().counters().refused +
            machines[2].torus().counters().refused != 0) {
      ++seen.bursts;  // the reference knows no capacity
      return;
    }
    compare_epoch(machines, epoch, naive, seen);
    if (naive.pending_total() > 9000) return;
  }
  while (naive.epoch_count() < epochs) {
    naive.run_epoch(machines.seals());
    ++seen.epochs_skipped;
  }
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
    const Projection& last = naive.epoch(epochs - 1).projections[torus];
    CHECK(machines[torus].next_epoch() == Epoch{epochs});
    CHECK(machines[torus].next_start().raw == naive.end_tick());
    CHECK(machines[torus].next_length() == naive.epoch(epochs - 1).length);
    CHECK(machines[torus].torus().event_digest() == last.event_digest);
    CHECK(machines[torus].torus().counters().events == last.events);
    CHECK(machines[torus].torus().counters().corrective == naive.corrective(static_cast<int>(torus)));
    CHECK(machines[torus].torus().counters().refused == 0);
    CHECK(machines[torus].torus().pending_count() == last.pending);
    CHECK(machines[torus].violations_total() == naive.violations(static_cast<int>(torus)));
    seen.violations += naive.violations(static_cast<int>(torus));
    seen.corrective += naive.corrective(static_cast<int>(torus));
  }
}

TEST_CASE("machine: each epoch is what the naive reference makes of it") {
  Lockstep machines;
  Comparison seen;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) compare(seed, {}, 24, machines, seen);
  MESSAGE("epochs " << seen.epochs_run << " violations " << seen.violations << " corrective " << seen.corrective
                    << " lengths " << seen.lengthened << " events " << seen.events);
  CHECK(seen.bursts < 10);
  CHECK(seen.violations > seen.corrective);  // some have payload 0
  CHECK(seen.corrective > 300);
  CHECK(seen.lengthened > 1000);
}

TEST_CASE("machine: so it is when most constraints are violated and K goes up and down") {
  Lockstep machines;
  Comparison seen;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) compare(seed, {.dense = true}, 70, machines, seen);
  MESSAGE("epochs " << seen.epochs_run << " violations " << seen.violations << " corrective " << seen.corrective
                    << " up " << seen.lengthened << " down " << seen.shortened << " events " << seen.events);
  CHECK(seen.violations > seen.corrective);
  CHECK(seen.corrective > 10000);
  CHECK(seen.lengthened > 10);
  CHECK(seen.shortened > 10);
}

TEST_CASE("machine: a leap gives what running every epoch gives") {
  Lockstep machines;
  Comparison seen;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) compare(seed, {.sparse = true}, 260, machines, seen);
  MESSAGE("epochs " << seen.epochs_run << " skipped " << seen.epochs_skipped << " violations " << seen.violations
                    << " lengths " << seen.lengthened << " events " << seen.events);
  CHECK(seen.epochs_skipped > 20000);
  CHECK(seen.violations > 100);
}

TEST_CASE("machine: states after N epochs are the same with leaps, without, and cut off at N") {
  Lockstep leaping;
  Lockstep stepping;
  Lockstep stopping;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const StoryOptions options{.with_programs = seed % 3 == 0, .sparse = true};
    const Scenario scenario = random_scenario(seed, options);
    Random random(seed);
    leaping.load(RunId{1}, scenario, Epoch{150});
    leaping.seal_percent = 1;
    std::map<std::uint64_t, std::array<Digest256, 3>> by_leaps;
    while (leaping.next_epoch() < Epoch{150}) {
      leaping.run_epoch(random, nullptr, options.with_programs);
      by_leaps[leaping.next_epoch().raw] = leaping.state_digests();
    }
    stepping.load(RunId{1}, scenario, Epoch{0});
    std::map<std::uint64_t, std::array<Digest256, 3>> by_steps;
    while (stepping.next_epoch() < Epoch{150}) {
      stepping.run_epoch(random, &leaping.seals());
      by_steps[stepping.next_epoch().raw] = stepping.state_digests();
    }
    for (const auto& [epoch, digests] : by_leaps) {
      CAPTURE(epoch);
      CHECK(by_steps[epoch] == digests);
    }
    for (int attempt = 0; attempt < 5; ++attempt) {  // and where a leap would have passed N
      const Epoch stop{1 + random.below(149)};
      CAPTURE(stop.raw);
      stopping.load(RunId{1}, scenario, stop);
      while (stopping.next_epoch() < stop) stopping.run_epoch(random, &leaping.seals());
      CHECK(stopping.state_digests() == by_steps[stop.raw]);
    }
  }
}

TEST_CASE("machine: a gap of 2^63 ticks is one leap") {
  Scenario scenario;
  scenario.adaptive = true;
  scenario.epoch_ticks = 1;
  const CellId cell = cell_at({1}, 1, 2, 3);
  scenario.injections = {{Tick{5}, cell, cell, 1}, {Tick{1ull << 63}, cell, cell, 2}};
  Lockstep machines;
  machines.load(RunId{1}, scenario);
  Random random(1);
  machines.seal_percent = 0;
  int epochs_run = 0;
  for (; machines[1].torus().counters().events < 2; ++epochs_run) machines.run_epoch(random);
  CHECK(epochs_run < 20);
  CHECK(machines[0].next_start().raw > 1ull << 63);
  CHECK(machines[0].next_start().raw <= (1ull << 63) + 10000);
  CHECK(machines[0].next_length() == 10000);
}

TEST_CASE("machine: it stops at the last tick instead of wrapping") {
  Scenario scenario;
  scenario.epoch_ticks = 1000;
  const CellId cell = cell_at({0}, 1, 2, 3);
  const CellId other = cell_at({1}, 1, 2, 3);
  SUBCASE("an event that no epoch can hold is refused at load") {
    TorusMachine machine({2}, kStoryCapacity);
    scenario.injections = {{Tick{~0ull - 3}, cell, cell, 1}};
    const Result<void> loaded = machine.load(RunId{1}, scenario);
    REQUIRE(!loaded);
    CHECK(loaded.error() == Error::kTimeOverflow);
    scenario.epoch_ticks = 1;
    CHECK(machine.load(RunId{1}, scenario).ok());
    scenario.injections[0].time = kLastTick;
    CHECK(!machine.load(RunId{1}, scenario).ok());
  }
  SUBCASE("epochs shrink to nothing there, and nothing breaks") {
    scenario.adaptive = true;  // K is not known beforehand
    scenario.injections = {{Tick{~0ull - 1500}, cell, cell, 1}};
    scenario.edges = {{cell, other, 700}, {other, cell, 700}, {cell, cell, 300}};
    Lockstep machines;
    machines.load(RunId{1}, scenario);
    Random random(1);
    machines.seal_percent = 0;
    while (!machines[0].ticks_exhausted()) machines.run_epoch(random);
    machines.seal_percent = 100;
    for (int i = 0; i < 10; ++i) {
      machines.run_epoch(random, nullptr, true);
      CHECK(machines[2].next_start() == kLastTick);
      for (std::size_t torus = 0; torus < 3; ++torus) CHECK(machines.replace(torus) == "");
    }
  }
}

TEST_CASE("machine: cuts come at the same epochs on all tori, by events and at least each 256 epochs") {
  Lockstep machines;
  for (const std::uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    machines.load(RunId{1}, random_scenario(seed, {}), Epoch{0});
    machines.seal_percent = 100;
    Random random(seed);
    std::vector<std::uint64_t> cuts;
    while (machines.next_epoch() < Epoch{600}) {
      const Epoch epoch = machines.next_epoch();
      machines.run_epoch(random);
      CHECK(machines[0].cut_due() == machines[1].cut_due());
      CHECK(machines[0].cut_due() == machines[2].cut_due());
      if (machines[0].cut_due()) cuts.push_back(epoch.raw);
    }
    CHECK(cuts == std::vector<std::uint64_t>{255, 511});
  }
}

TEST_CASE("machine: a client's repeated injection is applied once, and the answer survives a restore") {
  Scenario scenario;
  Lockstep machines;
  machines.load(RunId{1}, scenario, Epoch{0});
  Random random(1);
  Injection injection;
  injection.client = ClientId{77};
  injection.sequence = 5;
  injection.dst = injection.src = cell_at({0}, 0, 0, 0);
  NaiveBraid::SealRecord seals;
  seals[{0, 0}].injections = {injection};
  seals[{1, 0}].injections = {injection, injection};
  CHECK(!machines[0].has_applied({77}, 5));
  for (int i = 0; i < 6; ++i) {
    machines.run_epoch(random, &seals);
    CHECK(machines[0].has_applied({77}, 5));
    CHECK(!machines[0].has_applied({77}, 6));
    CHECK(!machines[0].has_applied({0}, 0));
    CHECK(machines.replace(0) == "");
  }
  CHECK(machines[0].torus().counters().events == 1);
  CHECK(machines[0].own_packet({5})->projection.constraint_vector[kInjectionsDelivered] == 1);
}

TEST_CASE("machine: a packet that does not add up raises an alarm") {
  Lockstep machines;
  machines.load(RunId{1}, random_scenario(4, {}), Epoch{0});
  Random random(1);
  for (int i = 0; i < 5; ++i) machines.run_epoch(random);
  const Epoch input = machines[0].input_epoch();
  Packet next = *machines[1].own_packet(input);
  const Packet previous = *machines[2].own_packet(input);
  std::string expected;
  SUBCASE("an event lost") {
    ++next.projection.constraint_vector[kSentToPrevious];
    expected = "event conservation: torus B says it sent";
  }
  SUBCASE("another time") {
    ++next.projection.end_tick.raw;
    expected = "time: epoch 3 ends at tick";
  }
  SUBCASE("a process too many") {
    ++next.projection.processes;
    expected = "process conservation: torus B says 1 processes live there";
  }
  machines[0].run_epoch(&next, &previous);
  CHECK(machines[0].alarm().starts_with(expected));
}

}  // namespace
}  // namespace rse
