#include "node/rse_simulate.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <memory>

#include "node/local_run.h"
#include "node/progress_bar.h"
#include "node/scenario_text.h"

namespace rse {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr std::uint64_t kFirstSliceEpochs = 64;
constexpr std::uint64_t kSliceEpochsMax = std::uint64_t{1} << 40;
constexpr double kSliceSeconds = 0.25;

struct SimulateFlags {
  std::string file;
  std::uint64_t epochs = 0;
  std::uint64_t run = 1;
  int threads = 3;
  bool json = false;
};

struct Simulated {
  std::uint64_t epochs;
  std::uint64_t end_tick;
  double seconds;
  std::uint64_t events;  // of all three tori
  double events_per_second() const { return seconds > 0 ? static_cast<double>(events) / seconds : 0; }
};

std::string hex_of(const Digest256& digest) {
  std::string hex;
  char digits[3];
  for (const std::uint8_t byte : digest.bytes) {
    std::snprintf(digits, sizeof digits, "%02x", byte);
    hex += digits;
  }
  return hex;
}

/// "1234567" as "1,234,567".
std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t place = digits.size(); place > 3;) {
    place -= 3;
    digits.insert(place, ",");
  }
  return digits;
}

int fail(const std::string& sentence) {
  std::fprintf(stderr, "rse simulate: %s\n", sentence.c_str());
  return kFailed;
}

/// K is fixed: whether the epochs end beyond the last tick is known before the first one is run.
bool is_beyond_ticks(const Scenario& scenario, std::uint64_t epochs) {
  const auto end = static_cast<unsigned __int128>(scenario.epoch_ticks) * epochs;
  return !scenario.adaptive && end > ~std::uint64_t{0};
}

void print_json(const Simulated& simulated, LocalRun& run) {
  std::printf("{\"epochs\":%" PRIu64 ",\"end_tick\":%" PRIu64 ",\"seconds\":%.6f,\"events_per_second\":%.0f,\"tori\":[",
              simulated.epochs, simulated.end_tick, simulated.seconds, simulated.events_per_second());
  for (std::uint8_t id = 0; id < kTorusCount; ++id) {
    TorusMachine& machine = run.machine({id});
    const Torus& torus = machine.torus();
    const TorusCounters& counters = torus.counters();
    std::printf("%s{\"torus\":\"%c\",\"events\":%" PRIu64 ",\"pending\":%" PRIu64 ",\"refused\":%" PRIu64
                ",\"corrective\":%" PRIu64 ",\"violations\":%" PRIu64
                ",\"event_digest\":\"%016" PRIx64 "\",\"state_digest\":\"%s\"}",
                id == 0 ? "" : ",", letter_of({id}), counters.events, torus.pending_count(), counters.refused,
                counters.corrective, machine.violations_total(), torus.event_digest(),
                hex_of(machine.region_digests().state_digest()).c_str());
  }
  std::printf("]}\n");
}

void print_table(const Simulated& simulated, LocalRun& run) {
  std::printf("%s epochs, %s ticks in %.3f s: %s events, %s a second, %s epochs a second\n\n",
              grouped(simulated.epochs).c_str(), grouped(simulated.end_tick).c_str(), simulated.seconds,
              grouped(simulated.events).c_str(),
              grouped(static_cast<std::uint64_t>(simulated.events_per_second())).c_str(),
              grouped(simulated.seconds > 0
                          ? static_cast<std::uint64_t>(static_cast<double>(simulated.epochs) / simulated.seconds)
                          : 0)
                  .c_str());
  std::printf("torus %16s %12s %9s %11s %11s  %-16s  %s\n", "events", "pending", "refused", "corrective",
              "violations", "event digest", "state digest");
  for (std::uint8_t id = 0; id < kTorusCount; ++id) {
    TorusMachine& machine = run.machine({id});
    const Torus& torus = machine.torus();
    const TorusCounters& counters = torus.counters();
    std::printf("%-5c %16s %12s %9s %11s %11s  %016" PRIx64 "  %s\n", letter_of({id}),
                grouped(counters.events).c_str(), grouped(torus.pending_count()).c_str(),
                grouped(counters.refused).c_str(), grouped(counters.corrective).c_str(),
                grouped(machine.violations_total()).c_str(), torus.event_digest(),
                hex_of(machine.region_digests().state_digest()).c_str());
  }
}

/// In slices of about a quarter of a second, each a piece of work that is done; where one ends changes no result.
void run_all(LocalRun& run, std::uint64_t epochs) {
  ProgressBar bar("simulating", "epochs");
  std::uint64_t slice = kFirstSliceEpochs;
  for (std::uint64_t done = 0; done < epochs;) {
    const double before = run.seconds();
    done += std::min(slice, epochs - done);
    run.run(Epoch{done});
    if (run.machine({0}).ticks_exhausted()) return;
    if (run.seconds() - before < kSliceSeconds && slice < kSliceEpochsMax) slice *= 2;
    bar.show(done, epochs);
  }
}

int simulate(const SimulateFlags& flags) {
  std::string failure;
  const std::optional<Scenario> scenario = read_scenario(flags.file, failure);
  if (!scenario) return fail(failure);
  const std::string too_far = flags.file + ": " + std::to_string(flags.epochs) +
                              " epochs end beyond tick 2^64-1; ask for fewer, or give shorter epoch_ticks";
  if (is_beyond_ticks(*scenario, flags.epochs)) return fail(too_far);

  LocalRun::Options options;
  options.run = RunId{flags.run};
  options.threads = flags.threads == 1 ? RunThreads::kOne : RunThreads::kThree;
  LocalRun run(options);
  if (!run.load(*scenario, failure)) return fail(flags.file + ": " + failure);
  run_all(run, flags.epochs);

  const TorusMachine& first = run.machine({0});
  if (first.ticks_exhausted()) return fail(too_far);
  Simulated simulated{flags.epochs, first.next_start().raw, run.seconds(), 0};
  for (std::uint8_t id = 0; id < kTorusCount; ++id) {
    simulated.events += run.machine({id}).torus().counters().events;
  }
  if (flags.json) {
    print_json(simulated, run);
  } else {
    print_table(simulated, run);
  }
  if (const std::string alarm = run.alarm(); !alarm.empty()) return fail(alarm);
  return kDone;
}

}  // namespace

void add_simulate_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<SimulateFlags>();
  CLI::App* const command = app.add_subcommand("simulate", "runs a scenario's three tori in this process");
  command->add_option("scenario", flags->file, "rse.v1.Scenario as text; - is stdin")->required();
  // The library's conversion would take -1 for 2^64-1.
  const CLI::Validator unsigned_number(
      [](const std::string& text) {
        return text.starts_with('-') ? "must not be negative" : std::string();
      },
      "", "unsigned");
  command->add_option("--epochs", flags->epochs, "how many epochs to run")->required()->check(unsigned_number);
  command->add_option("--run", flags->run, "run id, part of the state digest")
      ->check(unsigned_number)
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "1, or 3: one a torus")
      ->check(CLI::IsMember({1, 3}))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "one object");
  command->callback([flags, &exit_code] { exit_code = simulate(*flags); });
}

}  // namespace rse
