// braid_sim: runs simulated clusters through faults. One seed, many, or one told as a story.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
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

void explain(std::uint64_t seed, bool shorter) {
  const Schedule schedule = make_schedule(seed);
  std::printf("replay it with:\n  %s\n", command_for(seed, nullptr).c_str());
  if (!shorter) return;
  const std::set<std::uint32_t> keep = shrink(schedule, all_steps(schedule));
  std::printf("%zu of its %zu steps are enough:\n", keep.size(), schedule.steps.size());
  for (const std::uint32_t index : keep) {
    std::printf("  [%u] after %llu ms: %s\n", index, static_cast<unsigned long long>(schedule.steps[index].at.raw / 1'000'000),
                describe(schedule.steps[index]).c_str());
  }
  std::printf("  %s\nthe story of it: the same command with --trace\n", command_for(seed, &keep).c_str());
}

int run_one(const Flags& flags, std::uint64_t seed) {
  const Schedule schedule = make_schedule(seed);
  const std::set<std::uint32_t> keep =
      flags.keep.empty() ? all_steps(schedule) : std::set<std::uint32_t>(flags.keep.begin(), flags.keep.end());
  if (!flags.trace) {
    const std::string broken = run_apart(schedule, keep);
    if (!broken.empty()) {
      std::printf("seed %llu FAILED: %s\n", static_cast<unsigned long long>(seed), broken.c_str());
      if (flags.keep.empty()) explain(seed, !flags.no_shrink);
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
              "least %llu), %.0f messages and %.2f simulated seconds each\n",
              static_cast<unsigned long long>(runs.done), runs.seconds, flags.jobs, 60 * each / runs.seconds,
              static_cast<double>(runs.epochs) / each, static_cast<unsigned long long>(runs.epochs_min),
              static_cast<double>(runs.steps) / each, static_cast<unsigned long long>(runs.steps_min),
              static_cast<double>(runs.messages) / each, static_cast<double>(runs.simulated.raw) / 1e9 / each);
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
  for (const Failure& failure : runs.failures) {
    std::printf("seed %llu: %s\n  %s\n", static_cast<unsigned long long>(failure.seed), failure.what.c_str(),
                command_for(failure.seed, nullptr).c_str());
  }
  explain(runs.failures.front().seed, !flags.no_shrink);
  return 1;
}

#ifdef RSE_PLANTED_FAULTS
/// How many schedules it takes to notice each fault, from several first seeds. One that fails without the fault does not count.
int tabulate_faults() {
  constexpr std::uint64_t kFirsts[] = {1, 100'001, 200'001};
  constexpr std::uint64_t kSeedsMax = 60;
  int missed = 0;
  for (std::size_t i = 1; i < kFaultNames.size(); ++i) {
    std::vector<std::uint64_t> needed;
    std::string what;
    std::uint64_t caught_by = 0;
    for (const std::uint64_t first : kFirsts) {
      std::uint64_t count = 1;
      for (; count <= kSeedsMax; ++count) {
        const Schedule schedule = make_schedule(first + count - 1);
        planted_fault = static_cast<Fault>(i);
        const std::string broken = run_apart(schedule, all_steps(schedule));
        planted_fault = Fault::kNone;
        if (broken.empty() || !run_apart(schedule, all_steps(schedule)).empty()) continue;
        if (caught_by == 0) caught_by = schedule.seed, what = broken;
        break;
      }
      needed.push_back(count);
    }
    std::sort(needed.begin(), needed.end());
    missed += needed.front() > kSeedsMax;
    std::printf("| %s | %s | %llu | %llu..%llu | %llu |\n", std::string(kFaultNames[i]).c_str(),
                what.substr(0, what.find(':')).c_str(), static_cast<unsigned long long>(needed[needed.size() / 2]),
                static_cast<unsigned long long>(needed.front()), static_cast<unsigned long long>(needed.back()),
                static_cast<unsigned long long>(caught_by));
    std::fflush(stdout);
  }
  return missed == 0 ? 0 : 1;
}

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
  app.add_option("--keep", flags.keep, "with --seed: only these steps")->delimiter(',');
  app.add_flag("--trace", flags.trace, "with --seed: tell what happens");
  app.add_flag("--no-shrink", flags.no_shrink, "leave a failing schedule as it is");
#ifdef RSE_PLANTED_FAULTS
  app.add_option("--plant", flags.plant, "a fault to plant, by name; all: how many schedules it takes to notice each");
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
#ifdef RSE_PLANTED_FAULTS
  if (flags.plant == "all") return tabulate_faults();
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
