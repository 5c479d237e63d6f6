// What happens to a simulated cluster, derived from one seed: its size and kind, then a list of faults and client requests in
// time. A step may be left out without changing the others: how a failure is made short.
// Threads, errors: none. Memory: a few kilobytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/simulation.h"

namespace rse::sim {

enum class StepKind : std::uint8_t {
  kDrop, kDuplicate, kReorder, kDelay,              // messages from a to b (everywhere if a = b), `amount` percent or ms
  kCutOneWay, kCutLink, kIsolate, kDeafen, kSplit,  // nothing passes: a to b, a and b, a and all, all to a, two groups
  kSlowNode, kPause, kSuspend, kClockJump, kClockDrift,
  kKill, kKillAtMessage, kKillAtWrite, kPowerLoss, kPowerLossOfMany,
  kLoseDisk, kCorruptDisk, kSlowDisk, kDiskFails,
  kHostileBytes, kClient, kLoad,
  kCount,
};
inline constexpr std::size_t kStepKindCount = static_cast<std::size_t>(StepKind::kCount);
const char* name_of(StepKind kind);

struct Step {
  StepKind kind{};
  Duration at;     // after the cluster has formed
  Duration lasts;  // until it is mended, or the node restarted
  std::uint32_t a = 0, b = 0;
  std::uint32_t amount = 0;
  std::uint64_t seed = 0;
};

struct Schedule {
  std::uint64_t seed = 0;
  SimOptions cluster;
  Scenario scenario;
  bool load_early = false;     // before the cluster has three nodes
  std::vector<Duration> starts;  // of each node
  std::vector<Step> steps;
};

Schedule make_schedule(std::uint64_t seed);
/// For a person: the cluster, or one step.
std::string describe(const Schedule& schedule);
std::string describe(const Step& step);
Scenario small_scenario(std::uint64_t seed);

}  // namespace rse::sim
