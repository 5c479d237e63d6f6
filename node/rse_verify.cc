// rse verify: is the cluster's computation bit for bit that of one undisturbed computer?
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "node/client_verify.h"
#include "node/client_words.h"
#include "node/progress_bar.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

struct VerifyFlags {
  VerifyOptions options;
  bool json = false;
};

int verify(VerifyFlags& flags) {
  ControlFailure failure;
  std::optional<VerifyReport> report;
  {
    ProgressBar bar("replaying", "epochs");
    flags.options.progress = [&bar](std::uint64_t done, std::uint64_t total) { bar.show(done, total); };
    report = verify_cluster(flags.options, failure);
    flags.options.progress = {};
  }
  if (!report) return rse::report(failure);
  if (flags.json)
    fmt::print("{}\n", to_json(*report));
  else
    fmt::print("{}\n", report->sentence);
  return report->verdict == VerifyReport::Verdict::kIdentical ? kExitDone : kExitFailed;
}

}  // namespace

void add_verify_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App* command = app.add_subcommand(
      "verify", "runs the cluster's scenario again here, with the recorded injections, and compares it epoch by epoch");
  command->add_option("--control", flags->options.control, "control address of a daemon; repeatable: records are put together");
  command->add_option("--epochs", flags->options.epochs_max, "only the first N (0: all)");
  command->add_flag("--json", flags->json, "one object");
  command->callback([flags, &exit_code] { exit_code = verify(*flags); });
}

}  // namespace rse
