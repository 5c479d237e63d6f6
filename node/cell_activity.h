// How busy each cell of a torus was of late, for people: what was counted fades within some seconds, so that cells which
// few events visit are seen too.
// Size: 64 KiB. Threads: one. Memory: its own. Errors: none.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "torus/base/strong.h"

namespace rse {

class CellActivity {
 public:
  /// Takes a look, of several a second: events in each cell now.
  void note(std::span<const std::uint32_t, kCellCount> counts);
  /// A byte a cell, in the order of cells: 0 is quiet.
  std::string levels() const;

 private:
  std::array<std::uint16_t, kCellCount> heat_{};
};

}  // namespace rse
