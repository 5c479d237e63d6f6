// What nodes tell each other about tori for people only: where one is busy. It travels beside the braid's messages, and
// nothing that a node decides or computes reads it.
// Size: at most kSightBytes and a few more. Threads, errors: none.
#pragma once

#include <cstdint>

#include "torus/base/bytes.h"
#include "torus/base/strong.h"

namespace rse {

inline constexpr std::uint32_t kSightLevelMax = 15;
inline constexpr std::size_t kSightBytes = kCellCount / 2;

struct LatticeSight {
  TorusId torus;
  std::uint64_t corrective = 0;  // corrective events so far
  /// A nibble a cell, the even one low, in the order of cells: 0 is quiet. Empty: asks for this.
  Bytes levels;
};

inline std::uint32_t sight_level(const LatticeSight& sight, std::uint32_t cell) {
  return static_cast<std::uint32_t>(sight.levels[cell / 2]) >> (cell % 2 * 4) & kSightLevelMax;
}

}  // namespace rse
