// Makes a scenario of the packages installed on this machine: `rse import --dpkg` under the name
// that the documentation uses. `bazel run //deploy/scenarios:debian_packages -- --out
// packages.textproto --names names.tsv --inject libc6`
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "node/rse_import.h"

int main(int argc, char** argv) {
  // `bazel run` starts programs elsewhere; files are meant where the person is.
  if (const char* here = std::getenv("BUILD_WORKING_DIRECTORY");
      here != nullptr && ::chdir(here) != 0) {
    std::perror(here);
    return 1;
  }
  CLI::App app("The packages of this machine as a scenario: each a cell, each dependency an edge",
               "debian_packages");
  app.require_subcommand(1);
  int exit_code = 0;
  rse::add_import_command(app, exit_code);
  std::vector<std::string> arguments(argv + 1, argv + argc);
  arguments.insert(arguments.begin(), {"import", "--dpkg"});
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}
