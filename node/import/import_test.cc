#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "node/import/dpkg.h"
#include "node/import/edge_list.h"
#include "node/import/partition.h"
#include "node/local_run.h"
#include "node/scenario_text.h"

namespace rse {
namespace {

using Names = std::set<std::string>;

std::map<std::uint32_t, std::string> names_by_cell(const ImportedScenario& imported) {
  std::map<std::uint32_t, std::string> names;
  std::istringstream lines(imported.names);
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') continue;
    char torus;
    int x;
    int y;
    int z;
    int end = 0;
    REQUIRE(std::sscanf(line.c_str(), "%c:%d,%d,%d\t%n", &torus, &x, &y, &z, &end) == 4);
    const CellId cell = cell_at({static_cast<std::uint8_t>(torus - 'A')}, x, y, z);
    CHECK(names.emplace(cell.raw, line.substr(static_cast<std::size_t>(end))).second);
  }
  return names;
}

/// What the wave that the scenario starts has reached once nothing moves any more, by three tori.
Names reached_by_running(const ImportedScenario& imported) {
  LocalRun::Options options;
  options.capacity = {
      .events = 1 << 16, .edges = 1 << 17, .processes = 32768, .outbox_events = 1 << 16};
  LocalRun run(options);
  std::string failure;
  REQUIRE_MESSAGE(run.load(imported.scenario, failure), failure);
  run.run({3000});
  std::map<std::uint32_t, std::int64_t> values;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    CHECK(run.machine({torus}).torus().pending_count() == 0);
    CHECK(run.machine({torus}).torus().counters().refused == 0);
    run.machine({torus}).torus().visit_processes(
        [](void* context, const ProcessInfo& info) {
          (*static_cast<std::map<std::uint32_t, std::int64_t>*>(context))[info.cell.raw] =
              info.value;
        },
        &values);
  }
  CHECK(run.alarm() == "");
  Names reached;
  for (const auto& [cell, name] : names_by_cell(imported)) {
    REQUIRE(values.contains(cell));
    if (values[cell] >= 0) reached.insert(name);
  }
  return reached;
}

/// A second reader of the database, as simple as can be: line by line, into maps of words. Single
/// architecture.
struct PlainDatabase {
  std::map<std::string, Names>
      alternatives;  // package -> every word that it names in Depends and Pre-Depends
  std::map<std::string, Names> provided_by;  // word -> packages

  explicit PlainDatabase(const std::string& text) {
    std::istringstream lines(text + "\n\n");
    std::string package;
    std::string depends;
    std::string provides;
    bool installed = false;
    for (std::string line; std::getline(lines, line);) {
      if (line.empty()) {
        if (installed) {
          provided_by[package].insert(package);
          for (const std::string& word : words(provides)) provided_by[word].insert(package);
          alternatives[package] = words(depends);
        }
        package = depends = provides = "";
        installed = false;
      }
      if (line.starts_with("Package: ")) package = line.substr(9);
      if (line.starts_with("Status: ")) {
        installed = line.ends_with(" installed") || line.find(" triggers-") != std::string::npos;
      }
      if (line.starts_with("Depends: ")) depends += line.substr(9) + ",";
      if (line.starts_with("Pre-Depends: ")) depends += line.substr(13) + ",";
      if (line.starts_with("Provides: ")) provides += line.substr(10) + ",";
    }
  }

  /// The first word of everything between commas and bars.
  static Names words(std::string text) {
    for (char& c : text) c = c == '|' ? ',' : c;
    Names result;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
      std::string word;
      std::istringstream(part) >> word;
      if (!word.empty()) result.insert(word.substr(0, word.find_first_of(":(")));
    }
    return result;
  }

  /// Everything that depends on `start`, directly or not, and `start` itself.
  Names dependents(const std::string& start) const {
    Names found{start};
    for (bool grows = true; grows;) {
      grows = false;
      for (const auto& [package, needs] : alternatives) {
        if (found.contains(package)) continue;
        for (const std::string& word : needs) {
          const auto providers = provided_by.find(word);
          if (providers == provided_by.end()) continue;
          for (const std::string& provider : providers->second) grows |= found.contains(provider);
        }
        if (grows) {
          found.insert(package);
          break;
        }
      }
    }
    return found;
  }
};

ImportedScenario import_at(const Graph& graph, const std::string& start) {
  std::string failure;
  auto imported = import_graph(graph, {.epoch_ticks = 1000, .starts = {start}}, failure);
  REQUIRE_MESSAGE(imported, failure);
  return *imported;
}

constexpr char kStatus[] =
    "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nInstalled-Size: "
    "13000\nDepends: libgcc-s1\n\n"
    "Package: libgcc-s1\nStatus: install ok installed\nArchitecture: amd64\nDepends: gcc-base, "
    "libc6 (>= 2.35)\n\n"
    "Package: gcc-base\nStatus: install ok installed\nArchitecture: amd64\n\n"
    "Package: mawk\nStatus: install ok installed\nArchitecture: amd64\nProvides: awk\nPre-Depends: "
    "libc6 (>= 2.34)\n\n"
    "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nInstalled-Size: "
    "340\nPre-Depends: awk\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nDepends: awk\n\n"
    "Package: tzdata\nStatus: install ok installed\nArchitecture: all\nDepends: debconf (>= 0.5) | "
    "debconf-2.0\n\n"
    "Package: cdebconf\nStatus: install ok installed\nArchitecture: amd64\nProvides: "
    "debconf-2.0\nDepends: libc6:any\n\n";

TEST_CASE("import: a wave reaches exactly what depends on the package where it starts") {
  std::string failure;
  const auto graph = parse_dpkg_status(kStatus, "status", failure);
  REQUIRE_MESSAGE(graph, failure);
  const PlainDatabase database(kStatus);
  CHECK(database.dependents("libc6").size() == 6);
  CHECK(reached_by_running(import_at(*graph, "cdebconf")) == Names{"cdebconf", "tzdata"});
  for (const std::string& name : graph->names) {
    CAPTURE(name);
    CHECK(reached_by_running(import_at(*graph, name)) == database.dependents(name));
  }
}

TEST_CASE("import: so it does in this machine's own database") {
  std::string failure;
  std::error_code ignored;
  if (!std::filesystem::exists(kDpkgStatusFile, ignored)) return;
  const auto text = read_text_file(kDpkgStatusFile, failure);
  REQUIRE_MESSAGE(text, failure);
  const auto graph = parse_dpkg_status(*text, kDpkgStatusFile, failure);
  REQUIRE_MESSAGE(graph, failure);
  const PlainDatabase database(*text);
  // The simple reader knows one architecture only.
  for (const std::string& name : graph->names) {
    if (name.find(':') != std::string::npos) return;
  }
  int checked = 0;
  for (std::size_t i = 0; i < graph->names.size(); i += 1 + graph->names.size() / 12) {
    CAPTURE(graph->names[i]);
    CHECK(reached_by_running(import_at(*graph, graph->names[i])) ==
          database.dependents(graph->names[i]));
    ++checked;
  }
  for (const std::string name : {"libc6", "zlib1g", "perl-base", "adduser"}) {
    if (!database.alternatives.contains(name)) continue;
    CAPTURE(name);
    const Names expected = database.dependents(name);
    CHECK(reached_by_running(import_at(*graph, name)) == expected);
    MESSAGE(name << " reaches " << expected.size() << " of " << graph->names.size() << " packages");
  }
  CHECK(checked > 0);
}

TEST_CASE("import: every name has its own cell, the tori share evenly, and order does not matter") {
  std::vector<std::string> names;
  for (int i = 0; i < 60000; ++i) names.push_back("package-" + std::to_string(i));
  std::string failure;
  const auto cells = place_names(names, failure);
  REQUIRE(cells);
  std::set<std::uint32_t> distinct;
  std::array<std::size_t, kTorusCount> count{};
  for (const CellId cell : *cells) {
    distinct.insert(cell.raw);
    ++count[torus_of(cell).raw];
  }
  CHECK(distinct.size() == names.size());
  for (const std::size_t in_torus : count) CHECK(in_torus > 19000);
  const std::vector<std::string> reversed(names.rbegin(), names.rend());
  const auto again = place_names(reversed, failure);
  CHECK(std::equal(cells->begin(), cells->end(), again->rbegin()));
  // Pinned: a scenario that someone keeps must not move when RSE is updated.
  CHECK(cell_of_name("libc6").raw == 2413);
}

TEST_CASE("import: as many names as cells fit, one more does not") {
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < 3 * kCellCount; ++i) names.push_back(std::to_string(i));
  std::string failure;
  CHECK(place_names(names, failure));
  names.push_back("one more");
  CHECK(!place_names(names, failure));
  CHECK(failure ==
        "98305 names need a cell each and three tori have 98304; import a part of the network");
}

TEST_CASE(
    "import: the scenario survives its way through text, and a start that nobody is named is "
    "refused") {
  std::string failure;
  const auto graph = parse_edge_list("a\tb\t5\nb\tc\nc\ta\t70000\n", "net.tsv", failure);
  REQUIRE(graph);
  const ImportedScenario imported = import_at(*graph, "b");
  const auto parsed = parse_scenario(to_text(imported.scenario), "text", failure);
  REQUIRE_MESSAGE(parsed, failure);
  CHECK(encode_scenario(*parsed) == encode_scenario(imported.scenario));
  CHECK(names_by_cell(imported).size() == 3);
  CHECK(reached_by_running(imported) == Names{"a", "b", "c"});
  CHECK(!import_graph(*graph, {.epoch_ticks = 1000, .starts = {"x"}}, failure));
  CHECK(failure == "nothing is named \"x\" among 3 names");
}

}  // namespace
}  // namespace rse
