// rse load: starts the next run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "node/client_cluster_access.h"
#include "node/client_words.h"
#include "node/progress_bar.h"
#include "node/rse_commands.h"
#include "node/scenario_text.h"

namespace rse {
namespace {

struct LoadFlags {
  std::vector<std::string> control;
  std::vector<std::string> files;
  bool json = false;
};

int load(const LoadFlags& flags) {
  Scenario scenario;
  for (const std::string& file : flags.files) {
    std::string failure;
    std::optional<Scenario> read = read_scenario(file, failure);
    if (!read) {
      fmt::print(stderr, "rse: {}\n", failure);
      return kExitFailed;
    }
    if (&file == flags.files.data())
      scenario = std::move(*read);
    else
      merge_scenario(scenario, *read);
  }
  const Bytes bytes = encode_scenario(scenario);
  if (bytes.size() > kScenarioBytesMax) {
    fmt::print(stderr, "rse: the scenario has {} MB; at most {} MB can be loaded\n", bytes.size() >> 20, kScenarioBytesMax >> 20);
    return kExitFailed;
  }
  ControlFailure failure;
  std::uint64_t run = 0;
  {
    ProgressBar bar("sending", "KB");
    const auto on_sent = [&bar](std::size_t sent, std::size_t total) { bar.show(sent >> 10, total >> 10); };
    if (!load_scenario(flags.control, bytes, std::chrono::seconds(60), run, failure, on_sent)) return report(failure);
  }
  const Digest256 hash = digest_of(bytes);
  const std::string hex = hex_of({reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()});
  if (flags.json)
    fmt::print("{{\"run\":{},\"scenario_hash\":\"{}\",\"bytes\":{}}}\n", run, hex, bytes.size());
  else
    fmt::print("run {}: scenario {} ({} KB) runs; what was not delivered before is answered \"run ended\"\n", run,
               hex.substr(0, 12), (bytes.size() + 1023) / 1024);
  return kExitDone;
}

}  // namespace

void add_load_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<LoadFlags>();
  CLI::App* command = app.add_subcommand("load", "starts the next run of the cluster with a scenario");
  command->add_option("--control", flags->control, "control address of a daemon");
  command->add_option("scenario", flags->files, "rse.v1.Scenario as text; of several, the first decides the settings")->required();
  command->add_flag("--json", flags->json, "one object");
  command->callback([flags, &exit_code] { exit_code = load(*flags); });
}

}  // namespace rse
