// rse status: verdict first, then a row a node and a torus.
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <thread>

#include "node/client_status.h"
#include "node/client_words.h"
#include "node/rse_commands.h"
#include "node/terminal.h"

namespace rse {
namespace {

struct StatusFlags {
  std::vector<std::string> control;
  bool watch = false;
  bool json = false;
  double interval_seconds = 1;
};

void print_json(const v1::StatusReply& status) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(status, &json, options).ok()) json = "{}";
  fmt::print("{}\n", json);
}

int show(const StatusFlags& flags) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const StatusStyle style{wants_color(STDOUT_FILENO)};
  std::optional<v1::StatusReply> before;
  std::unique_ptr<ControlClient> client;
  int code = kExitDone;
  auto last = std::chrono::steady_clock::now();
  do {
    ControlFailure failure;
    if (!client) client = connect_to_any(flags.control, failure);
    std::optional<v1::StatusReply> status;
    if (client) status = ask_status(*client, failure);
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last).count();
    if (!status) {
      client.reset();
      before.reset();
      code = report(failure);
    } else if (flags.json) {
      print_json(*status);
      code = exit_code_of(*status);
    } else {
      if (flags.watch && terminal) fmt::print("\x1b[H\x1b[J");
      fmt::print("{}", render_status(*status, before ? &*before : nullptr, seconds, style));
      if (flags.watch && !terminal) fmt::print("\n");
      code = exit_code_of(*status);
    }
    std::fflush(stdout);
    before = std::move(status);
    last = now;
    if (flags.watch) std::this_thread::sleep_for(std::chrono::duration<double>(flags.interval_seconds));
  } while (flags.watch && !std::ferror(stdout));
  return code;
}

}  // namespace

void add_status_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<StatusFlags>();
  CLI::App* command = app.add_subcommand("status", "the verdict, then a row a node and a torus (exit code 10: degraded)");
  command->add_option("--control", flags->control, "control address of a daemon: a path or HOST:PORT (else $RSE_CONTROL, "
                                                   "else a daemon of this user on this machine)");
  command->add_flag("--watch", flags->watch, "again and again, redrawn on a terminal");
  command->add_option("--interval", flags->interval_seconds, "seconds between two looks with --watch")
      ->check(CLI::Range(0.05, 3600.0));
  command->add_flag("--json", flags->json, "rse.v1.StatusReply as JSON, one object a line");
  command->callback([flags, &exit_code] { exit_code = show(*flags); });
}

}  // namespace rse
