#include "tests/sim/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace rse::sim {
namespace {

struct KindOdds {
  StepKind kind;
  const char* name;
  std::uint32_t volatile_odds, durable_odds;
};
constexpr std::array<KindOdds, kStepKindCount> kOdds = {{
    {StepKind::kDrop, "drop", 6, 5},
    {StepKind::kDuplicate, "duplicate", 5, 4},
    {StepKind::kReorder, "reorder", 5, 4},
    {StepKind::kDelay, "delay", 5, 4},
    {StepKind::kCutOneWay, "cut-one-way", 5, 4},
    {StepKind::kCutLink, "cut-link", 5, 4},
    {StepKind::kIsolate, "isolate", 5, 4},
    {StepKind::kDeafen, "deafen", 3, 2},
    {StepKind::kSplit, "split", 3, 2},
    {StepKind::kSlowNode, "slow-node", 4, 3},
    {StepKind::kPause, "pause", 5, 4},
    {StepKind::kSuspend, "suspend", 3, 2},
    {StepKind::kClockJump, "clock-jump", 4, 3},
    {StepKind::kClockDrift, "clock-drift", 3, 2},
    {StepKind::kKill, "kill", 10, 5},
    {StepKind::kKillAtMessage, "kill-at-message", 10, 5},
    {StepKind::kKillAtWrite, "kill-at-write", 0, 6},
    {StepKind::kPowerLoss, "power-loss", 0, 5},
    {StepKind::kPowerLossOfMany, "power-loss-of-many", 0, 4},
    {StepKind::kLoseDisk, "lose-disk", 0, 4},
    {StepKind::kCorruptDisk, "corrupt-disk", 0, 3},
    {StepKind::kSlowDisk, "slow-disk", 0, 3},
    {StepKind::kDiskFails, "disk-fails", 0, 3},
    {StepKind::kHostileBytes, "hostile-bytes", 3, 2},
    {StepKind::kClient, "client", 18, 18},
    {StepKind::kLoad, "load", 1, 1},
}};

/// Between `least` and `most`, each order of magnitude as likely as the next.
std::uint64_t log_uniform(Random& random, double least, double most) {
  const double part = static_cast<double>(random.below(1u << 20)) / (1u << 20);
  return static_cast<std::uint64_t>(least * std::pow(most / least, part));
}
Duration milliseconds_between(Random& random, double least, double most) {
  return {log_uniform(random, least * 1e6, most * 1e6)};
}

StepKind pick_kind(Random& random, bool durable) {
  const auto odds_of = [&](const KindOdds& odds) { return durable ? odds.durable_odds : odds.volatile_odds; };
  std::uint32_t sum = 0;
  for (const KindOdds& odds : kOdds) sum += odds_of(odds);
  std::uint32_t left = random.below(sum);
  for (const KindOdds& odds : kOdds) {
    if (left < odds_of(odds)) return odds.kind;
    left -= odds_of(odds);
  }
  return StepKind::kClient;
}

Step make_step(Random& random, StepKind kind, std::uint32_t nodes) {
  Step step;
  step.kind = kind;
  step.a = random.below(nodes);
  step.b = (step.a + 1 + random.below(nodes - 1)) % nodes;
  step.seed = random.next();
  step.lasts = milliseconds_between(random, 2, 150);
  switch (kind) {
    case StepKind::kDrop:
    case StepKind::kDuplicate:
    case StepKind::kReorder:
      step.amount = 5 + random.below(60);
      if (random.below(3) == 0) step.b = step.a;
      break;
    case StepKind::kDelay:
      step.amount = static_cast<std::uint32_t>(log_uniform(random, 1, 80));
      if (random.below(3) == 0) step.b = step.a;
      break;
    case StepKind::kSlowNode:
    case StepKind::kSlowDisk: step.amount = 2 + random.below(20); break;
    case StepKind::kClockJump: step.amount = static_cast<std::uint32_t>(log_uniform(random, 5, 20'000)); break;
    case StepKind::kClockDrift: step.amount = random.below(400'000); break;
    case StepKind::kKillAtMessage: step.amount = static_cast<std::uint32_t>(log_uniform(random, 1, 300)); break;
    case StepKind::kKillAtWrite:
    case StepKind::kDiskFails: step.amount = static_cast<std::uint32_t>(log_uniform(random, 1, 40)); break;
    case StepKind::kCorruptDisk: step.amount = 1 + random.below(8); break;
    default: break;
  }
  return step;
}

/// One node more, that only observes, with faults of its own. Drawn last: seeds without one stay what they were.
void add_observer(Schedule& schedule, Random& random, Duration end) {
  constexpr std::array<StepKind, 9> kKinds = {StepKind::kKill,    StepKind::kKillAtMessage, StepKind::kPause,
                                              StepKind::kIsolate, StepKind::kCutLink,       StepKind::kDrop,
                                              StepKind::kDelay,   StepKind::kSlowNode,      StepKind::kClient};
  SimOptions& cluster = schedule.cluster;
  const auto observer = static_cast<std::uint32_t>(cluster.nodes++);
  cluster.observers = 1;
  schedule.starts.push_back(milliseconds_between(random, 1, 40));
  for (std::uint32_t count = 4 + random.below(8); count > 0; --count) {
    Step step = make_step(random, kKinds[random.below(kKinds.size())], observer + 1);
    step.a = observer;
    step.b = random.below(observer);
    step.at = {random.next() % (end.raw + 1)};
    schedule.steps.push_back(step);
  }
}

}  // namespace

const char* name_of(StepKind kind) { return kOdds[static_cast<std::size_t>(kind)].name; }

Schedule make_schedule(std::uint64_t seed) {
  Random random(seed * 0x9E3779B97F4A7C15 + 1);
  Schedule schedule;
  schedule.seed = seed;
  SimOptions& cluster = schedule.cluster;
  constexpr std::array<std::uint32_t, 16> kSizes = {3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 3, 6, 7};
  cluster.seed = random.next();
  cluster.nodes = kSizes[random.below(kSizes.size())];
  cluster.durable = random.below(5) < 2;
  cluster.latency_max = {log_uniform(random, 50e3, 2e6)};
  cluster.epoch_work_max = milliseconds_between(random, 4, 25);
  cluster.disk_wait_max = milliseconds_between(random, 0.3, 6);
  cluster.cut_epochs_max = 4 + random.below(16);
  cluster.drop_percent = random.below(6) == 0 ? 1 + random.below(5) : 0;
  cluster.codec_percent = random.below(16) == 0 ? 10 : 0;
  cluster.encrypted = Random(~seed).below(4) == 0;
  cluster.one_machine = Random(~seed + 1).below(4) == 0;
  cluster.actions_max = 1'000'000;  // ten times what the busiest take
  cluster.capacity = {.events = 1u << 10, .edges = 1u << 9, .processes = 128, .outbox_events = 1u << 9};
  schedule.scenario = small_scenario(random.next());
  schedule.load_early = random.below(2) == 0;
  for (std::size_t node = 0; node < cluster.nodes; ++node) {
    schedule.starts.push_back(node == 0 ? Duration{0} : milliseconds_between(random, 1, 40));
  }
  const std::uint32_t count = 24 + random.below(24);
  const Duration mean_gap = milliseconds_between(random, 4, 16);
  Duration at{0};
  for (std::uint32_t i = 0; i < count; ++i) {
    at.raw += random.next() % (2 * mean_gap.raw);
    Step step = make_step(random, pick_kind(random, cluster.durable), static_cast<std::uint32_t>(cluster.nodes));
    step.at = at;
    schedule.steps.push_back(step);
  }
  if (random.below(5) == 0) add_observer(schedule, random, at);
  return schedule;
}

Scenario small_scenario(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario;
  scenario.epoch_ticks = 20 + random.below(40);
  scenario.adaptive = random.below(6) == 0;
  scenario.boundary_coupling = random.below(2) == 0;
  scenario.boundary_tolerance = random.below(3);
  const bool sparse = random.below(8) == 0;  // quiet most of the time: epochs leap, cuts are due at once
  for (std::uint8_t t = 0; t < kTorusCount; ++t) {
    for (int i = sparse ? 6 : 0; i < 6; ++i) {
      const CellId cell = cell_at({t}, i % 2 == 0 ? 0 : 31, i, i / 2);
      scenario.processes.push_back({cell, "phold", "max_delay=40 remote=20"});
    }
    for (std::uint32_t i = 0; i < 6; ++i) {
      const CellId from{t * kCellCount + 8000 + i};
      const CellId to{t * kCellCount + 8000 + (i + 1) % 6};
      scenario.edges.push_back({from, to, sparse ? 2000 + random.below(3000) : 5 + random.below(30)});
    }
    scenario.injections.push_back({Tick{random.below(40)}, CellId{t * kCellCount + 8000u},
                                   CellId{t * kCellCount + 8000u}, -1'000'000'000});
    scenario.processes.push_back({cell_at({t}, 5, 5, 5), "counter", ""});
  }
  return scenario;
}

std::string describe(const Schedule& schedule) {
  const SimOptions& of = schedule.cluster;
  const auto micro = [](Duration span) { return std::to_string(span.raw / 1'000) + " us"; };
  return "seed " + std::to_string(schedule.seed) + ": " + std::to_string(of.nodes) + " nodes " +
         (of.observers != 0 ? "(the last one observes) " : "") + (of.durable ? "with" : "without") + " disks, " +
         (of.one_machine ? "on one machine, " : "") + "latency up to " + micro(of.latency_max) + ", an epoch takes up to " +
         micro(of.epoch_work_max) + ", a cut after at most " + std::to_string(of.cut_epochs_max) + " epochs, " +
         std::to_string(of.drop_percent) + "% of messages lost, " + std::to_string(schedule.steps.size()) + " steps";
}

std::string describe(const Step& step) {
  const auto letter = [](std::uint32_t node) { return std::string(1, static_cast<char>('a' + node)); };
  return std::string(name_of(step.kind)) + " " + letter(step.a) + " (" + letter(step.b) + ") amount " +
         std::to_string(step.amount) + " for " + std::to_string(step.lasts.raw / 1'000'000) + " ms";
}

}  // namespace rse::sim
