// How busy each cell of a torus was of late, for people: what was counted fades within some seconds, so that cells which
// few events visit are seen too.
// Size: 64 KiB. Threads: one. Memory: its own. Errors: none.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "torus/watch/lattice_sight.h"

namespace rse {

class CellActivity {
 public:
  /// Takes a look, of several a second: events in each cell now.
  void note(std::span<const std::uint32_t, kCellCount> counts);
  /// As in LatticeSight.
  Bytes levels() const;

 private:
  std::array<std::uint16_t, kCellCount> heat_{};
};

}  // namespace rse
