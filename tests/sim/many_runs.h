// Many schedules, each in a process that may crash without taking the others along.
// Threads: none; worker processes. Memory: one page shared with them. Errors: a failure is a seed and a sentence,
// for a crash and for what never ends too.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/schedule_run.h"

namespace rse::sim {

struct Failure {
  std::uint64_t seed = 0;
  std::string what;
};
struct ManyRuns {
  std::uint64_t done = 0;
  std::vector<Failure> failures;  // the first few
  std::uint64_t epochs = 0, epochs_min = 0, steps = 0, steps_min = 0, held_back = 0, rewinds = 0, acknowledged = 0, messages = 0,
                hostile_refused = 0;
  std::uint64_t fingerprint = 0;  // a sum over all schedules, whatever their order, of what happened in each
  Duration simulated, to_health_max;
  std::uint64_t hit[kStepKindCount] = {};
  double seconds = 0, processor_seconds = 0;
};
struct ManyOptions {
  std::uint64_t first = 1, count = 1;
  std::uint32_t jobs = 1;
  std::uint32_t failures_max = 8;  // then it stops
  bool progress = false;           // a line on stderr that is drawn again; else one a minute
};
ManyRuns run_many(const ManyOptions& options);

/// What `run` says in a process of its own: empty, or what broke. A crash is a sentence too.
std::string in_a_process(const std::function<std::string()>& run);
std::string run_apart(const Schedule& schedule, const std::set<std::uint32_t>& keep);
/// The smallest set of steps found that still fails, by leaving out halves, quarters, ... single ones.
std::set<std::uint32_t> shrink(const Schedule& schedule, std::set<std::uint32_t> keep);
std::set<std::uint32_t> all_steps(const Schedule& schedule);

}  // namespace rse::sim
