// `rse`, the command line. Each subcommand lives in its own file and registers itself here.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "node/rse_commands.h"
#include "node/rse_import.h"
#include "node/rse_simulate.h"

namespace {

constexpr int kExitUsage = 2;

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("RSE: three or more machines as one computer that does not stop when one of them dies", "rse");
  app.require_subcommand(1);
  int exit_code = 0;
  rse::add_simulate_command(app, exit_code);
  rse::add_import_command(app, exit_code);
  rse::add_cluster_commands(app, exit_code);
  // CLI11 would only say that a subcommand is required.
  const auto is_asked_for = [&](const CLI::App* command) { return command->check_name(argv[1]); };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(is_asked_for).empty()) {
    fmt::print(stderr, "rse: there is no command \"{}\"; rse --help lists them\n", argv[1]);
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;  // help and version are no errors
  }
  return exit_code;
}
