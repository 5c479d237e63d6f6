// Runs a schedule on a simulated cluster and says whether every promise was kept. A fault that would go beyond what the
// product promises at that moment is held back and counted: what is left has to be survived.
// Threads: one. Memory: a simulation. Errors: Outcome::broken.
#pragma once

#include <array>
#include <set>
#include <string>

#include "tests/sim/schedule.h"

namespace rse::sim {

struct Outcome {
  std::string broken;  // empty: every promise was kept
  std::array<std::uint32_t, kStepKindCount> hit{};  // steps that took effect, by kind
  std::uint32_t held_back = 0;
  std::uint64_t epochs = 0;      // of each torus, checked
  std::uint64_t rewinds = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t messages = 0, actions = 0, hostile_refused = 0;
  Duration simulated, to_health;
  std::string story;             // if asked for
};

enum class Story : std::uint8_t { kNone, kKept, kPrinted };

/// `keep`: the steps to take, by index; nullptr: all.
Outcome run_schedule(const Schedule& schedule, const std::set<std::uint32_t>* keep = nullptr, Story story = Story::kNone);

}  // namespace rse::sim
