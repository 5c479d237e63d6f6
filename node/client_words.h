// How `rse` reads and writes cells, tori, digests and names of cells.
// Threads: any. Memory: the caller's. Errors: as a sentence for a person.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "node/control_client.h"
#include "torus/base/strong.h"

namespace rse {

/// "A", "b" or "2".
std::optional<TorusId> parse_torus(std::string_view text);
/// "A:1,2,3".
std::optional<CellId> parse_cell(std::string_view text);
std::string cell_text(CellId cell);
std::string hex16(std::uint64_t value);
/// Two lower-case digits a byte.
std::string hex_of(std::string_view bytes);

/// names.tsv beside a generated scenario: lines with a cell ("A:1,2,3" or its global number) and a name in two columns, in
/// either order; further columns and lines starting with # are ignored.
class CellNames {
 public:
  /// Empty: read; otherwise what is wrong.
  std::string read(const std::string& path);
  std::optional<CellId> cell_of(std::string_view name) const;
  /// The name, or the cell's text when it has none.
  std::string name_of(CellId cell) const;
  std::size_t size() const { return cells_.size(); }

 private:
  std::map<std::string, CellId, std::less<>> cells_;
  std::map<CellId, std::string> names_;
};

/// Prints the failure to stderr; returns its exit code.
int report(const ControlFailure& failure);

}  // namespace rse
