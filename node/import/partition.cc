#include "node/import/partition.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "node/import/dpkg.h"

namespace rse {

namespace {
constexpr std::uint32_t kAllCells = kTorusCount * kCellCount;

std::string cell_text(CellId cell) {
  const std::uint32_t index = index_of(cell);
  return std::string(1, letter_of(torus_of(cell))) + ":" + std::to_string(index / 1024) + "," +
         std::to_string(index / 32 % 32) + "," + std::to_string(index % 32);
}

/// Indices of `names`, alphabetically.
std::vector<std::uint32_t> alphabetical(const std::vector<std::string>& names) {
  std::vector<std::uint32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return names[a] < names[b]; });
  return order;
}

std::string names_text(const Graph& graph, const std::vector<CellId>& cells) {
  std::vector<std::uint32_t> order(cells.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return cells[a] < cells[b]; });
  std::string text = "# cell\tname\n";
  for (const std::uint32_t node : order)
    text += cell_text(cells[node]) + "\t" + graph.names[node] + "\n";
  return text;
}
}  // namespace

CellId cell_of_name(std::string_view name) {
  const Digest256 digest = digest_of(std::as_bytes(std::span(name)));
  std::uint64_t torus;
  std::uint64_t index;
  std::memcpy(&torus, digest.bytes.data(), sizeof(torus));
  std::memcpy(&index, digest.bytes.data() + sizeof(torus), sizeof(index));
  return {static_cast<std::uint32_t>(torus % kTorusCount * kCellCount + index % kCellCount)};
}

std::optional<std::vector<CellId>> place_names(const std::vector<std::string>& names,
                                               std::string& failure) {
  if (names.size() > kAllCells) {
    failure = std::to_string(names.size()) + " names need a cell each and three tori have " +
              std::to_string(kAllCells) + "; import a part of the network";
    return std::nullopt;
  }
  std::vector<bool> taken(kAllCells);
  std::vector<CellId> cells(names.size());
  for (const std::uint32_t node : alphabetical(names)) {
    std::uint32_t at = cell_of_name(names[node]).raw;
    while (taken[at]) at = (at + 1) % kAllCells;
    taken[at] = true;
    cells[node] = {at};
  }
  return cells;
}

std::optional<ImportedScenario> import_graph(const Graph& graph, const ImportOptions& options,
                                             std::string& failure) {
  const auto cells = place_names(graph.names, failure);
  if (!cells) return std::nullopt;
  ImportedScenario imported;
  Scenario& scenario = imported.scenario;
  scenario.epoch_ticks = options.epoch_ticks;
  for (const std::uint32_t node : alphabetical(graph.names)) {
    scenario.processes.push_back({(*cells)[node], "wave", ""});
  }
  for (const Graph::Edge& edge : graph.edges) {
    scenario.edges.push_back({(*cells)[edge.from], (*cells)[edge.to], edge.delay});
  }
  std::int32_t wave = 0;
  for (const std::string& start : options.starts) {
    const auto node = std::find(graph.names.begin(), graph.names.end(), start);
    if (node == graph.names.end()) {
      failure = "nothing is named \"" + start + "\" among " + std::to_string(graph.names.size()) +
                " names";
      return std::nullopt;
    }
    const CellId cell = (*cells)[static_cast<std::size_t>(node - graph.names.begin())];
    scenario.injections.push_back({Tick{0}, cell, cell, ++wave});
  }
  imported.names = names_text(graph, *cells);
  return imported;
}

std::optional<ImportedScenario> import_packages(const std::string& status_file,
                                                const ImportOptions& options,
                                                std::string& failure) {
  const auto text = read_text_file(status_file, failure);
  if (!text) return std::nullopt;
  const auto graph = parse_dpkg_status(*text, status_file, failure);
  return graph ? import_graph(*graph, options, failure) : std::nullopt;
}

std::optional<std::string> read_text_file(const std::string& path, std::string& failure) {
  // stdio, because a stream over a directory throws.
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  std::string text;
  bool whole = file != nullptr;
  std::array<char, 65536> part;
  while (whole && std::feof(file) == 0) {
    text.append(part.data(), std::fread(part.data(), 1, part.size(), file));
    whole = std::ferror(file) == 0;
  }
  if (!whole) failure = "cannot read " + path + ": " + std::strerror(errno);
  if (file != nullptr && file != stdin) std::fclose(file);
  return whole ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace rse
