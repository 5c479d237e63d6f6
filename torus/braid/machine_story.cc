#include "torus/braid/machine_story.h"

namespace rse {
namespace {

CellId random_cell(Random& random, TorusId torus) {
  const std::uint32_t place = random.below(10);
  const std::int32_t x = place < 4 ? 0 : place < 8 ? 31 : static_cast<std::int32_t>(random.below(32));
  return cell_at(torus, x, static_cast<std::int32_t>(random.below(3)), static_cast<std::int32_t>(random.below(4)));
}

TorusId random_torus(Random& random) { return {static_cast<std::uint8_t>(random.below(3))}; }

void add_processes(Random& random, Scenario& scenario) {
  for (std::uint32_t i = 0; i < 12; ++i) {
    static constexpr const char* kPrograms[] = {"churn", "phold", "wave", "counter", "relay"};
    const char* const program = kPrograms[random.below(5)];
    const bool is_phold = std::string_view(program) == "phold";
    scenario.processes.push_back(
        {random_cell(random, random_torus(random)), program, is_phold ? "max_delay=40 remote=20 events=3" : ""});
  }
}

/// Loops of one cell each over the coupled faces, about one event an epoch; some are faster, and the faces differ.
void add_busy_faces(Random& random, Scenario& scenario) {
  const auto length = static_cast<std::uint32_t>(scenario.epoch_ticks);
  for (std::uint32_t i = 0; i < kTorusCount * 2 * kFaceCellCount; ++i) {
    if (random.below(3) == 0) continue;
    const std::uint32_t cell = i % kFaceCellCount;
    const TorusId torus{static_cast<std::uint8_t>(i / (2 * kFaceCellCount))};
    const CellId loop = cell_at(torus, i / kFaceCellCount % 2 == 0 ? 0 : 31, static_cast<std::int32_t>(cell / 32),
                                static_cast<std::int32_t>(cell % 32));
    const std::uint32_t delay = random.below(8) == 0 ? 1 + length / 20 : 1 + random.below(2 * length);
    scenario.edges.push_back({loop, loop, delay});
    const auto rounds = static_cast<std::int32_t>(random.below(40));  // then calm, and K grows
    scenario.relays.push_back({loop, rounds - 1000});
    scenario.injections.push_back({Tick{random.below(12 * length)}, loop, loop, -1000});
  }
}

}  // namespace

Scenario random_scenario(std::uint64_t seed, const StoryOptions& options) {
  Random random(seed);
  Scenario scenario;
  static constexpr std::uint64_t kLengths[] = {1, 2, 7, 50, 100, 130, 400, 9999, 20000};
  scenario.epoch_ticks = kLengths[random.below(options.sparse ? 7 : 9)];
  if (options.dense) scenario.epoch_ticks = 60 + random.below(150);
  scenario.adaptive = random.below(2) == 0;
  scenario.boundary_coupling = random.below(4) != 0;
  static constexpr std::uint32_t kTolerances[] = {0, 0, 1, 3, 10};
  scenario.boundary_tolerance = kTolerances[random.below(5)];
  std::vector<CellId> cells;
  const std::uint32_t cell_count = 4 + random.below(40);
  for (std::uint32_t i = 0; i < cell_count; ++i) cells.push_back(random_cell(random, random_torus(random)));
  const std::uint32_t delay_bound = random.below(2) == 0 ? 8 : 3 * static_cast<std::uint32_t>(scenario.epoch_ticks) + 2;
  for (const CellId from : cells) {
    const std::uint32_t out_degree = random.below(20) == 0 ? 2 : 1;
    for (std::uint32_t i = 0; i < out_degree; ++i) {
      CellId to = cells[random.below(cell_count)];
      if (random.below(3) == 0) to = random_cell(random, random_torus(random));
      scenario.edges.push_back({from, to, 1 + random.below(delay_bound)});
    }
    scenario.relays.push_back({from, static_cast<std::int32_t>(random.below(20))});
    if (random.below(4) == 0) scenario.relays.push_back({from, std::nullopt});
  }
  const std::uint32_t injection_count = options.sparse ? 1 + random.below(6) : 10 + random.below(60);
  for (std::uint32_t i = 0; i < injection_count; ++i) {
    const std::uint64_t window = scenario.epoch_ticks * (options.sparse ? 200 : 12);
    const CellId to = cells[random.below(cell_count)];
    const CellId from = random.below(2) == 0 ? to : random_cell(random, random_torus(random));
    const std::int32_t payload = static_cast<std::int32_t>(random.below(30)) - (options.sparse ? 5 : 25);
    scenario.injections.push_back({Tick{random.next() % window}, to, from, payload});
  }
  if (options.dense) {
    scenario.boundary_coupling = true;
    add_busy_faces(random, scenario);
  }
  if (options.with_programs) add_processes(random, scenario);
  return scenario;
}

Seal random_seal(Random& random, TorusId torus, bool must_be_empty, bool with_programs) {
  Seal seal;
  seal.waiting = random.below(20) == 0;
  const std::uint32_t count = 1 + random.below(5);
  for (std::uint32_t i = 0; i < count && !must_be_empty; ++i) {
    Injection injection;
    injection.client = ClientId{random.below(4)};
    injection.sequence = random.below(40);
    injection.dst = random_cell(random, torus);
    injection.src = random_cell(random, random_torus(random));
    injection.payload = static_cast<std::int32_t>(random.below(30)) - 10;
    if (with_programs && random.below(4) == 0) {
      injection.kind = Injection::Kind::kSpawn;
      injection.program = random.below(2) == 0 ? "churn" : "no such program";
    }
    seal.injections.push_back(std::move(injection));
  }
  return seal;
}

Lockstep::Lockstep() {
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    machines_[torus] = std::make_unique<TorusMachine>(TorusId{torus}, kStoryCapacity);
    spares_[torus] = std::make_unique<TorusMachine>(TorusId{torus}, kStoryCapacity);
  }
}

void Lockstep::load(RunId run, const Scenario& scenario, Epoch leap_limit) {
  seals_.clear();
  leap_limit_ = leap_limit;
  for (auto& machine : machines_) {
    const Result<void> loaded = machine->load(run, scenario);
    RSE_ASSERT(loaded.ok(), "a random scenario fits");
    machine->set_leap_limit(leap_limit);
  }
}

void Lockstep::run_epoch(Random& random, const NaiveBraid::SealRecord* replayed, bool with_programs) {
  const Epoch epoch = next_epoch();
  std::array<Packet, kTorusCount> inputs;
  const bool has_inputs = machines_[0]->needs_inputs();
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
    RSE_ASSERT(machines_[torus]->next_epoch() == epoch, "the tori agree about the next epoch");
    RSE_ASSERT(machines_[torus]->needs_inputs() == has_inputs, "and about its inputs");
    if (has_inputs) inputs[torus] = *machines_[torus]->own_packet(machines_[torus]->input_epoch());
  }
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
    TorusMachine& machine = *machines_[torus];
    machine.run_epoch(has_inputs ? &inputs[(torus + 1) % 3] : nullptr, has_inputs ? &inputs[(torus + 2) % 3] : nullptr);
    RSE_ASSERT(machine.alarm().empty(), "nothing is lost in lockstep");
    Seal seal;
    if (replayed != nullptr) {
      const auto recorded = replayed->find({epoch.raw, static_cast<int>(torus)});
      if (recorded != replayed->end()) seal = recorded->second;
    } else if (random.below(100) < seal_percent) {
      seal = random_seal(random, machine.id(), machine.must_seal_empty(), with_programs);
    }
    seals_[{epoch.raw, static_cast<int>(torus)}] = seal;
    machine.seal(std::move(seal));
  }
}

std::string Lockstep::replace(std::size_t torus) {
  const RegionDigests before = machines_[torus]->region_digests();
  const std::vector<Bytes> regions = checkpoint_of(*machines_[torus]);
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    if (digest_of(regions[region]) != before.of[region]) {
      return "region " + std::to_string(region) + " changed without a new digest";
    }
  }
  const Result<void> restored = spares_[torus]->restore(regions);
  if (!restored) return to_string(restored.error());
  spares_[torus]->set_leap_limit(leap_limit_);
  if (spares_[torus]->cut_due() != machines_[torus]->cut_due()) return "cut_due() differs";
  if (spares_[torus]->region_digests() != before) return "digests differ after the restore";
  std::swap(machines_[torus], spares_[torus]);
  return {};
}

std::array<Digest256, kTorusCount> Lockstep::state_digests() {
  return {machines_[0]->region_digests().state_digest(), machines_[1]->region_digests().state_digest(),
          machines_[2]->region_digests().state_digest()};
}

std::vector<Bytes> checkpoint_of(const TorusMachine& machine) {
  std::vector<Bytes> regions(kRegionCount);
  for (std::size_t region = 0; region < kRegionCount; ++region) machine.write_region(region, regions[region]);
  return regions;
}

}  // namespace rse
