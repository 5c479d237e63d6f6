#include "deploy/three_node_scenario.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <vector>

#include "node/import/dpkg.h"
#include "node/import/partition.h"
#include "torus/base/random.h"

namespace rse {
namespace {

std::set<std::uint32_t> used_cells(const Scenario& scenario) {
  std::set<std::uint32_t> used;
  for (const auto& relay : scenario.relays) used.insert(relay.cell.raw);
  for (const auto& edge : scenario.edges) used.insert({edge.from.raw, edge.to.raw});
  for (const auto& process : scenario.processes) used.insert(process.cell.raw);
  for (const auto& event : scenario.injections) used.insert(event.dst.raw);
  return used;
}

/// Free cells of a torus in a random order.
std::vector<CellId> free_cells(TorusId torus, const std::set<std::uint32_t>& used, std::size_t count, Random& random) {
  std::vector<CellId> cells;
  for (std::uint32_t index = 0; index < kCellCount; ++index) {
    const CellId cell{torus.raw * kCellCount + index};
    if (!used.contains(cell.raw)) cells.push_back(cell);
  }
  for (std::size_t i = cells.size(); i > 1; --i)
    std::swap(cells[i - 1], cells[random.below(static_cast<std::uint32_t>(i))]);
  cells.resize(std::min(cells.size(), count));
  return cells;
}

/// A PHOLD load in the longest run of indices that is free in all three tori; its processes send only to each other.
void add_phold(Scenario& scenario, std::set<std::uint32_t>& used, std::uint32_t cells_max) {
  std::uint32_t low = 0, high = 0;
  for (std::uint32_t from = 0, index = 0; index <= kCellCount; ++index) {
    const bool free = index < kCellCount && !used.contains(index) && !used.contains(kCellCount + index) &&
                      !used.contains(2 * kCellCount + index);
    if (free) continue;
    if (index - from > high - low) {
      low = from;
      high = index;
    }
    from = index + 1;
  }
  high = std::min(high, low + cells_max);
  const std::string args =
      "max_delay=16 remote=10 events=4 low=" + std::to_string(low) + " high=" + std::to_string(high);
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    for (std::uint32_t index = low; index < high; ++index) {
      const CellId cell{torus * kCellCount + index};
      scenario.processes.push_back({cell, "phold", args});
      used.insert(cell.raw);
    }
  }
}

}  // namespace

void add_load(Scenario& scenario, const LoadOptions& options) {
  constexpr std::uint32_t kStartDelay = 4;  // positive payloads shorten it to 1
  std::set<std::uint32_t> used = used_cells(scenario);
  add_phold(scenario, used, options.phold_cells);
  Random random(options.seed);
  std::array<std::vector<CellId>, kTorusCount> cells;
  std::size_t count = options.cells;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    cells[torus] = free_cells({torus}, used, options.cells, random);
    count = std::min(count, cells[torus].size());
  }
  const std::size_t segments = std::max<std::size_t>(options.remote, 1);
  const std::size_t length = count / segments;
  if (length == 0) return;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    for (std::size_t i = 0; i < segments * length; ++i) scenario.relays.push_back({cells[torus][i], kLoadPayloadMax});
  }
  for (std::size_t segment = 0; segment < segments; ++segment) {
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      const std::size_t first = segment * length;
      for (std::size_t i = 0; i + 1 < length; ++i)
        scenario.edges.push_back({cells[torus][first + i], cells[torus][first + i + 1], kStartDelay});
      // After the last cell of C comes the next segment of A.
      const std::size_t next_segment = torus + 1u < kTorusCount ? segment : (segment + 1) % segments;
      scenario.edges.push_back({cells[torus][first + length - 1], cells[next_torus({torus}).raw][next_segment * length], kStartDelay});
    }
  }
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    for (std::uint32_t i = 0; i < options.events; ++i) {
      const CellId cell = cells[torus][random.below(static_cast<std::uint32_t>(segments * length))];
      scenario.injections.push_back({Tick{1 + random.below(kStartDelay)}, cell, cell, 1});
    }
  }
}

std::optional<Scenario> package_scenario(const std::string& directory, std::string& names_file, std::string& failure) {
  std::optional<ImportedScenario> imported = import_packages(kDpkgStatusFile, {}, failure);
  if (!imported) return std::nullopt;
  names_file = directory + "/names.tsv";
  std::ofstream file(names_file);
  file << imported->names;
  if (!file.flush()) {
    failure = "cannot write " + names_file;
    return std::nullopt;
  }
  return std::move(imported->scenario);
}

}  // namespace rse
