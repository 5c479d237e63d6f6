// rse bench failover: from SIGKILL to the first epoch of the rebuilt torus on a survivor, measured.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "node/client_failover.h"
#include "node/control_client.h"
#include "node/rse_commands.h"
#include "node/rse_text.h"

namespace rse {
namespace {

struct BenchFlags {
  FailoverOptions options;
  bool json = false;
};

std::vector<double> column(const FailoverReport& report, double FailoverTrial::*value) {
  std::vector<double> values;
  for (const FailoverTrial& trial : report.trials)
    if (trial.*value >= 0) values.push_back(trial.*value);
  return values;
}

std::vector<double> memory_of(const FailoverReport& report) {
  std::vector<double> memory;
  for (const FailoverTrial& trial : report.trials) memory.push_back(trial.memory_megabytes);
  return memory;
}

constexpr struct {
  const char* name;
  double FailoverTrial::*value;
} kPhases[] = {
    {"lost", &FailoverTrial::lost},         {"view", &FailoverTrial::view},
    {"replaying", &FailoverTrial::replaying}, {"rebuilt", &FailoverTrial::rebuilt},
    {"first_epoch", &FailoverTrial::first_epoch},
};

void print_json(const FailoverReport& report) {
  const std::vector<double> memory = memory_of(report);
  std::string phases;
  for (const auto& phase : kPhases) {
    const std::vector<double> values = column(report, phase.value);
    phases += fmt::format(R"({}"{}":{{"count":{},"median":{:.3f},"p99":{:.3f},"min":{:.3f},"max":{:.3f}}})",
                          phases.empty() ? "" : ",", phase.name, values.size(), quantile(values, 0.5),
                          quantile(values, 0.99), quantile(values, 0), quantile(values, 1));
  }
  fmt::print(R"({{"bench":"failover","kills":{},"state_megabytes":{:.2f},"milliseconds_from_sigkill":{{{}}},)"
             R"("resident_megabytes":{{"first":{:.1f},"last":{:.1f},"max":{:.1f}}},)"
             R"("verified":{},"verdict":"{}","failure":"{}","machine":"{}","date":"{}"}})"
             "\n",
             report.trials.size(), report.state_megabytes, phases, memory.empty() ? 0 : memory.front(),
             memory.empty() ? 0 : memory.back(), quantile(memory, 1), report.verified ? "true" : "false",
             json_escaped(report.verdict), json_escaped(report.failure), json_escaped(machine_text()), date_text());
}

void print_text(const FailoverReport& report) {
  fmt::print("failover, {} kills, {:.1f} MB of state a torus; milliseconds from SIGKILL\n", report.trials.size(),
             report.state_megabytes);
  fmt::print("{:<12} {:>8} {:>8} {:>8} {:>8}\n", "", "median", "p99", "min", "max");
  for (const auto& phase : kPhases) {
    const std::vector<double> values = column(report, phase.value);
    fmt::print("{:<12} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.1f}\n", phase.name, quantile(values, 0.5), quantile(values, 0.99),
               quantile(values, 0), quantile(values, 1));
  }
  const std::vector<double> memory = memory_of(report);
  if (!memory.empty())
    fmt::print("resident memory of the largest node: {:.0f} MB before the first kill, {:.0f} before the last, {:.0f} at most\n",
               memory.front(), memory.back(), quantile(memory, 1));
  fmt::print("{}\n{}, {}\n", report.verdict, machine_text(), date_text());
}

int failover(const BenchFlags& given) {
  BenchFlags flags = given;
  flags.options.progress = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  const FailoverReport report = measure_failover(flags.options);
  if (flags.json)
    print_json(report);
  else
    print_text(report);
  if (!report.failure.empty()) fmt::print(stderr, "rse: {}\n", report.failure);
  return report.failure.empty() && report.verified ? kExitDone : kExitFailed;
}

}  // namespace

void add_bench_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* bench = app.add_subcommand("bench", "measurements on this machine");
  bench->require_subcommand(1);
  CLI::App* command = bench->add_subcommand(
      "failover", "starts three daemons, kills a random one again and again: time from SIGKILL to the first epoch of the "
                  "rebuilt torus");
  command->add_option("--kills", flags->options.kills, "how many (50)")->check(CLI::Range(1, 100'000));
  command->add_option("--state-mb", flags->options.state_megabytes, "state of a torus, MB (16)")->check(CLI::Range(1.0, 18.0));
  command->add_option("--seed", flags->options.seed, "of the choice of victims and moments");
  command->add_option("--node-binary", flags->options.binary, "the rse-node to run (else the one beside rse)");
  command->add_option("--data-dir", flags->options.directory, "keep the nodes' data and logs here (else temporary)");
  command->add_flag("--json", flags->json, "one object");
  command->callback([flags, &exit_code] { exit_code = failover(*flags); });
}

}  // namespace rse
