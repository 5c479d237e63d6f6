// Which blocks of an array with one element a cell may hold anything but zeros, so that emptying a machine that uses a few
// cells touches a few kilobytes instead of all of its memory.
// Size: 64 blocks of 512 cells. Threads: none. Errors: none.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "torus/engine/packed_event.h"

namespace rse {

class TouchedCells {
 public:
  void touch(std::uint32_t cell) { blocks_ |= std::uint64_t{1} << cell / kBlockCells; }
  /// Zeroes the touched blocks of `cells`, an array of kCellCount elements.
  template <class T>
  void clear(T* cells) {
    for (; blocks_ != 0; blocks_ &= blocks_ - 1) {
      std::memset(cells + std::size_t{kBlockCells} * static_cast<unsigned>(std::countr_zero(blocks_)), 0, kBlockCells * sizeof(T));
    }
  }

 private:
  static constexpr std::uint32_t kBlockCells = kCellCount / 64;
  std::uint64_t blocks_ = 0;
};

}  // namespace rse
