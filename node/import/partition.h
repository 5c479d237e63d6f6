// Gives each node of a graph a cell of its own, spread evenly over the three tori, and makes a
// scenario of it. Threads: none. Memory: the graph again. Errors: a sentence. Invariant: the same
// names get the same cells, whatever their order and whatever the edges.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/import/graph.h"
#include "torus/braid/scenario.h"

namespace rse {

/// Where a name goes if nobody is there: torus and index from its BLAKE2b-256.
CellId cell_of_name(std::string_view name);

/// By index into `names`. Names are placed in alphabetical order; one that finds its cell taken
/// goes to the next free one. nullopt: there are more names than cells.
std::optional<std::vector<CellId>> place_names(const std::vector<std::string>& names,
                                               std::string& failure);

struct ImportOptions {
  std::uint64_t epoch_ticks = 1000;
  /// Names at which the scenario itself starts a wave, at tick 0, with payloads 1, 2, 3, ...
  std::vector<std::string> starts;
};

struct ImportedScenario {
  Scenario scenario;  // a `wave` process in each node's cell, an edge for each edge
  std::string names;  // names.tsv: cell ("A:1,2,3"), tab, name; in the order of cells
};

std::optional<ImportedScenario> import_graph(const Graph& graph, const ImportOptions& options,
                                             std::string& failure);

/// The network of the packages installed on this machine, or of another dpkg status file.
std::optional<ImportedScenario> import_packages(const std::string& status_file,
                                                const ImportOptions& options, std::string& failure);

/// The text of a file; "-" is stdin.
std::optional<std::string> read_text_file(const std::string& path, std::string& failure);

}  // namespace rse
