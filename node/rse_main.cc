// `rse`, the command line. Each subcommand lives in its own file and registers itself here.
#include <CLI/CLI.hpp>

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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;  // help and version are no errors
  }
  return exit_code;
}
