// braid_sim: runs simulated clusters through faults. One seed, many, or one told as a story.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "tests/sim/many_runs.h"
#include "torus/braid/planted_fault.h"

namespace {

using namespace rse;
using namespace rse::sim;

struct Flags {
  std::optional<std::uint64_t> seed, replay;
  std::uint64_t seeds = 0, first = 1;
  std::uint32_t jobs = 1;
  std::uint32_t failures = 8;
  std::vector<std::uint32_t> keep;
  bool trace = false, no_shrink = false;
  std::string plant;
};

std::string command_for(std::uint64_t seed, const std::set<std::uint32_t>* keep) {
  std::string command = "bazel run //tests/sim:braid_sim -- --seed " + std::to_string(seed);
  if (!keep) return command;
  command += " --keep ";
  for (auto it = keep->begin(); it != keep->end(); ++it) command += (it == keep->begin() ? "" : ",") + std::to_string(*it);
  return keep->empty() ? command + "none" : command;
}

void show(const Schedule& schedule, const Outcome& outcome) {
  std::printf("%s\n%llu epochs of each torus checked, %llu messages, %llu actions, %.3f simulated seconds; %llu injections "
              "acknowledged; %u steps held back; healthy again after %.0f ms\n",
              describe(schedule).c_str(), static_cast<unsigned long long>(outcome.epochs),
              static_cast<unsigned long long>(outcome.messages), static_cast<unsigned long long>(outcome.actions),
              static_cast<double>(outcome.simulated.raw) / 1e9, static_cast<unsigned long long>(outcome.acknowledged),
              outcome.held_back, static_cast<double>(outcome.to_health.raw) / 1e6);
}

/// What broke, and the command that replays it: with `shorter`, of the fewest steps that still break something.
void explain(const Failure& failure, bool shorter) {
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(failure.seed), failure.what.c_str());
  if (!shorter) {
    std::printf("  %s\n", command_for(failure.seed, nullptr).c_str());
    return;
  }
  const Schedule schedule = make_schedule(failure.seed);
  const std::set<std::uint32_t> keep = shrink(schedule, all_steps(schedule));
  std::printf("%zu of its %zu steps are enough:\n", keep.size(), schedule.steps.size());
  for (const std::uint32_t index : keep) {
    std::printf("  [%u] after %llu ms: %s\n", index, static_cast<unsigned long long>(schedule.steps[index].at.raw / 1'000'000),
                describe(schedule.steps[index]).c_str());
  }
  std::printf("  %s   (with --trace: the story of it)\n", command_for(failure.seed, &keep).c_str());
}

int run_one(const Flags& flags, std::uint64_t seed) {
  const Schedule schedule = make_schedule(seed);
  const std::set<std::uint32_t> keep =
      flags.keep.empty() ? all_steps(schedule) : std::set<std::uint32_t>(flags.keep.begin(), flags.keep.end());
  if (!flags.trace) {
    const std::string broken = run_apart(schedule, keep);
    if (!broken.empty()) {
      std::printf("FAILED: ");
      if (!flags.keep.empty()) {
        std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), broken.c_str());
      } else {
        explain({seed, broken}, !flags.no_shrink);
      }
      return 1;
    }
  }
  const Outcome outcome = run_schedule(schedule, &keep, flags.trace ? Story::kPrinted : Story::kNone);
  show(schedule, outcome);
  std::printf("%s\n", outcome.broken.empty() ? "every promise was kept" : ("FAILED: " + outcome.broken).c_str());
  return outcome.broken.empty() ? 0 : 1;
}

int run_all(const Flags& flags) {
  ManyOptions options;
  options.first = flags.first;
  options.count = flags.seeds;
  options.jobs = flags.jobs;
  options.failures_max = flags.failures;
  options.progress = ::isatty(STDERR_FILENO) != 0;
  const ManyRuns runs = run_many(options);
  const auto each = static_cast<double>(std::max<std::uint64_t>(runs.done, 1));
  std::printf("%llu schedules in %.1f s with %u workers: %.0f a minute; %.0f epochs of each torus (at least %llu), %.0f steps (at "
              "least %llu), %.0f messages, %.2f simulated seconds and %.1f ms of a processor each\n",
              static_cast<unsigned long long>(runs.done), runs.seconds, flags.jobs, 60 * each / runs.seconds,
              static_cast<double>(runs.epochs) / each, static_cast<unsigned long long>(runs.epochs_min),
              static_cast<double>(runs.steps) / each, static_cast<unsigned long long>(runs.steps_min),
              static_cast<double>(runs.messages) / each, static_cast<double>(runs.simulated.raw) / 1e9 / each, 1e3 * runs.processor_seconds / each);
  std::printf("%llu injections acknowledged, %llu steps held back, %llu resumptions repeated epochs, %llu hostile messages refused; "
              "healthy again after %.0f ms at most; fingerprint of all runs %016llx\n",
              static_cast<unsigned long long>(runs.acknowledged), static_cast<unsigned long long>(runs.held_back),
              static_cast<unsigned long long>(runs.rewinds), static_cast<unsigned long long>(runs.hostile_refused),
              static_cast<double>(runs.to_health_max.raw) / 1e6, static_cast<unsigned long long>(runs.fingerprint));
  for (std::size_t kind = 0; kind < kStepKindCount; ++kind) {
    std::printf("  %-20s %llu\n", name_of(static_cast<StepKind>(kind)), static_cast<unsigned long long>(runs.hit[kind]));
  }
  if (runs.failures.empty()) {
    std::printf("every promise was kept\n");
    return 0;
  }
  std::printf("%zu FAILED:\n", runs.failures.size());
  for (std::size_t i = runs.failures.size(); i-- > 0;) explain(runs.failures[i], i == 0 && !flags.no_shrink);
  return 1;
}

#ifdef RSE_PLANTED_FAULTS
bool plant(const std::string& name) {
  const auto found = std::find(kFaultNames.begin(), kFaultNames.end(), name);
  if (found == kFaultNames.end()) return false;
  planted_fault = static_cast<Fault>(found - kFaultNames.begin());
  return true;
}
#endif

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs simulated RSE clusters through faults, from seeds. Exit code: 0 every promise was kept, 1 not, 2 usage.");
  Flags flags;
  app.add_option("--seed", flags.seed, "run this schedule; a failing one is made short");
  app.add_option("--replay", flags.replay, "the same as --seed");
  app.add_option("--seeds", flags.seeds, "run that many schedules");
  app.add_option("--first", flags.first, "with --seeds: the first seed (default 1)");
  app.add_option("--jobs", flags.jobs, "with --seeds: worker processes (default 1)")->check(CLI::Range(1, 64));
  app.add_option("--failures", flags.failures, "with --seeds: stop after so many failures (default 8)")->check(CLI::Range(1, 64));
  const std::map<std::string, std::uint32_t> none{{"none", ~0u}};  // no schedule has so many steps
  app.add_option("--keep", flags.keep, "with --seed: only these steps, or none")->delimiter(',')->transform(CLI::Transformer(none));
  app.add_flag("--trace", flags.trace, "with --seed: tell what happens");
  app.add_flag("--no-shrink", flags.no_shrink, "leave a failing schedule as it is");
#ifdef RSE_PLANTED_FAULTS
  app.add_option("--plant", flags.plant, "a fault to plant, by name");
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
#ifdef RSE_PLANTED_FAULTS
  if (!flags.plant.empty() && !plant(flags.plant)) {
    std::fprintf(stderr, "there is no fault %s to plant; see torus/braid/planted_fault.h\n", flags.plant.c_str());
    return 2;
  }
#endif
  if (flags.replay) flags.seed = flags.replay;
  if (flags.seed) return run_one(flags, *flags.seed);
  if (flags.seeds > 0) return run_all(flags);
  std::fputs(app.help().c_str(), stdout);
  return 2;
}
