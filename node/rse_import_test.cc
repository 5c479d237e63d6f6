// The command as a person types it; it reads and writes files, so the test has a directory of its
// own.
#include "node/rse_import.h"

#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "node/scenario_text.h"

namespace {

int run(std::vector<std::string> arguments) {
  CLI::App app;
  int exit_code = 99;
  rse::add_import_command(app, exit_code);
  arguments.insert(arguments.begin(), "import");
  std::reverse(arguments.begin(), arguments.end());
  app.parse(arguments);
  return exit_code;
}

struct Folder {
  Folder() {
    const char* base = std::getenv("TEST_TMPDIR");
    path = std::string(base != nullptr ? base : "/tmp") + "/rse-import-XXXXXX";
    REQUIRE(::mkdtemp(path.data()) != nullptr);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path + "/" + name) << text;
    return path + "/" + name;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path;
};

TEST_CASE("rse import: edges become a scenario that reads back, with names and a start") {
  const Folder folder;
  const std::string edges = folder.write("net.tsv", "a\tb\t5\nb\tc\n");
  CHECK(run({edges, "--out", folder.path + "/net.textproto", "--names", folder.path + "/names.tsv",
             "--inject", "a", "--epoch-ticks", "250"}) == 0);
  std::string failure;
  const auto scenario = rse::read_scenario(folder.path + "/net.textproto", failure);
  REQUIRE_MESSAGE(scenario, failure);
  CHECK(scenario->epoch_ticks == 250);
  CHECK(scenario->processes.size() == 3);
  CHECK(scenario->edges.size() == 2);
  REQUIRE(scenario->injections.size() == 1);
  CHECK(scenario->injections[0].dst == scenario->edges[0].from);
  const std::string names = folder.read("names.tsv");
  CHECK(names.find("\ta\n") != std::string::npos);
  CHECK(std::count(names.begin(), names.end(), '\n') == 4);
}

TEST_CASE("rse import: a dpkg status file is read instead when asked") {
  const Folder folder;
  const std::string status =
      folder.write("status",
                   "Package: a\nStatus: install ok installed\nArchitecture: amd64\n\n"
                   "Package: b\nStatus: install ok installed\nArchitecture: amd64\nDepends: a\n");
  CHECK(run({"--dpkg", status, "--out", folder.path + "/out"}) == 0);
  std::string failure;
  const auto scenario = rse::read_scenario(folder.path + "/out", failure);
  REQUIRE_MESSAGE(scenario, failure);
  CHECK(scenario->edges.size() == 1);
}

TEST_CASE("rse import: usage is told apart from failure") {
  const Folder folder;
  CHECK(run({}) == 2);
  CHECK(run({"net.tsv", "--dpkg"}) == 2);
  CHECK(run({folder.path + "/missing"}) == 1);
  CHECK(run({folder.path}) == 1);
  CHECK(run({folder.write("net.tsv", "a\tb\n"), "--out", folder.path + "/no/such/place"}) == 1);
  CHECK(run({folder.write("net.tsv", "a\tb\n"), "--out", folder.path + "/out", "--inject", "z"}) ==
        1);
  CHECK(!std::filesystem::exists(folder.path + "/out"));
}

}  // namespace
