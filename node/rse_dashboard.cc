// rse dashboard: where a browser finds the page, with the right to change what it shows.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "node/client_words.h"
#include "node/http/access_file.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

struct DashboardFlags {
  std::vector<std::string> control;
  std::string data_directory;
};

/// The first page that a daemon within reach serves; `failure` is what the last one said.
std::string url_within_reach(const DashboardFlags& flags, ControlFailure& failure) {
  if (!flags.data_directory.empty()) {
    failure.exit_code = kExitFailed;
    return read_dashboard_url(flags.data_directory, failure.text);
  }
  bool reached = false;
  for (const std::string& where : control_candidates(flags.control)) {
    const auto client = ControlClient::connect(where, failure);
    if (!client) continue;
    const auto status = ask_status(*client, failure);
    if (!status) continue;
    reached = true;
    failure.exit_code = kExitFailed;
    const v1::NodeInfo& self = status->self();
    if (self.data_directory().empty()) {
      failure.text = fmt::format("node {} has no data directory to keep a secret in: give it --data-dir, or --http-token", self.name());
      continue;
    }
    std::string url = read_dashboard_url(self.data_directory(), failure.text);
    if (!url.empty()) return url;
  }
  if (!reached) connect_to_any(flags.control, failure);
  return {};
}

int dashboard(const DashboardFlags& flags) {
  ControlFailure failure;
  const std::string url = url_within_reach(flags, failure);
  if (url.empty()) return report(failure);
  fmt::print("{}\n", url);
  return kExitDone;
}

}  // namespace

void add_dashboard_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<DashboardFlags>();
  CLI::App* command = app.add_subcommand("dashboard", "the address of the dashboard, with the secret that lets it change something");
  command->add_option("--control", flags->control, "control address of a daemon");
  command->add_option("--data-dir", flags->data_directory, "of the node that serves it, instead of asking one");
  command->callback([flags, &exit_code] { exit_code = dashboard(*flags); });
}

}  // namespace rse
