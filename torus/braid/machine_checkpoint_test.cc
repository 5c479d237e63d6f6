// Checkpoints: a machine replaced by its restored self at any epoch changes nothing; hostile bytes do no harm.
#include <doctest/doctest.h>

#include "torus/braid/machine_story.h"

namespace rse {
namespace {

TEST_CASE("checkpoint: restoring at every epoch leaves the digests of a run without restores") {
  Lockstep calm;
  Lockstep restored;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const StoryOptions options{.with_programs = seed % 2 == 0, .sparse = seed % 4 == 1};
    const Scenario scenario = random_scenario(seed, options);
    Random random(seed);
    calm.load(RunId{seed}, scenario);
    restored.load(RunId{seed}, scenario);
    calm.seal_percent = options.sparse ? 1 : 20;
    for (int i = 0; i < 30; ++i) {
      calm.run_epoch(random, nullptr, options.with_programs);
      restored.run_epoch(random, &calm.seals());
      CAPTURE(i);
      for (std::size_t torus = 0; torus < kTorusCount; ++torus) REQUIRE(restored.replace(torus) == "");
      REQUIRE(restored.state_digests() == calm.state_digests());
    }
  }
}

TEST_CASE("checkpoint: the scenario itself is one, and other runs have other digests") {
  Lockstep machines;
  const Scenario scenario = random_scenario(3, {.with_programs = true});
  machines.load(RunId{1}, scenario);
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) CHECK(machines.replace(torus) == "");
  const auto digests = machines.state_digests();
  machines.load(RunId{2}, scenario);
  CHECK(machines.state_digests()[0] != digests[0]);
  machines.load(RunId{1}, scenario);
  CHECK(machines.state_digests() == digests);
}

/// After a few epochs, so that every part of the format is there.
void run_a_while(Lockstep& machines, std::uint64_t seed) {
  machines.load(RunId{5}, random_scenario(seed, {.with_programs = true}));
  machines.seal_percent = 80;
  Random random(seed);
  for (int i = 0; i < 6; ++i) machines.run_epoch(random, nullptr, true);
}

/// One more epoch of what was read from spoilt bytes, if it takes the honest neighbours' packets.
bool run_on(TorusMachine& machine, Lockstep& honest) {
  if (!machine.needs_inputs() || machine.input_epoch() != honest[0].input_epoch() || machine.run() != RunId{5}) return false;
  machine.run_epoch(honest[1].own_packet(machine.input_epoch()), honest[2].own_packet(machine.input_epoch()));
  machine.seal({});
  return true;
}

TEST_CASE("checkpoint: hostile bytes are refused or read, never worse") {
  Lockstep machines;
  run_a_while(machines, 8);
  const std::vector<Bytes> honest = checkpoint_of(machines[0]);
  TorusMachine machine({0}, kStoryCapacity);
  REQUIRE(machine.restore(honest).ok());
  Random random(99);
  int read = 0;
  int run = 0;
  for (int attempt = 0; attempt < 4000; ++attempt) {
    CAPTURE(attempt);
    std::vector<Bytes> hostile = honest;
    const std::size_t region = random.below(2) == 0 ? kHeadRegion : random.below(kRegionCount);
    Bytes& bytes = hostile[region];
    const std::uint32_t changes = 1 + random.below(3);
    for (std::uint32_t i = 0; i < changes && !bytes.empty(); ++i) {
      const std::uint32_t at = random.below(static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), random.below(2) == 0 ? 200 : ~0u)));
      switch (random.below(4)) {
        case 0: bytes[at] = static_cast<std::byte>(random.next()); break;
        case 1: bytes[at] ^= static_cast<std::byte>(1u << random.below(8)); break;
        case 2: bytes.resize(at); break;
        case 3: bytes.insert(bytes.begin() + at, std::byte{0xFF}); break;
      }
    }
    if (!machine.restore(hostile)) continue;
    ++read;
    CHECK(checkpoint_of(machine) == hostile);  // what it reads is what it would write
    if (run_on(machine, machines)) ++run;
  }
  MESSAGE("read " << read << " of 4000, ran " << run);
  CHECK(run > 100);
  CHECK(read < 3000);
  CHECK(!machine.restore(std::span(honest).first(5)).ok());
  TorusMachine other({1}, kStoryCapacity);
  CHECK(other.restore(honest).error() == Error::kWrongTorus);
  REQUIRE(machine.restore(honest).ok());
  CHECK(checkpoint_of(machine) == honest);
}

TEST_CASE("checkpoint: regions with events before the head's epoch are refused") {
  Scenario scenario;
  const CellId cell = cell_at({0}, 4, 4, 4);
  scenario.injections = {{Tick{500}, cell, cell, 1}};
  TorusMachine machine({0}, kStoryCapacity);
  REQUIRE(machine.load(RunId{1}, scenario).ok());
  std::vector<Bytes> mixed = checkpoint_of(machine);
  machine.run_epoch(nullptr, nullptr);
  machine.seal({});
  mixed[kHeadRegion] = checkpoint_of(machine)[kHeadRegion];
  CHECK(machine.restore(mixed).error() == Error::kMalformed);
  CHECK(machine.run() == RunId{0});
}

}  // namespace
}  // namespace rse
