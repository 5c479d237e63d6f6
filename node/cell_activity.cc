#include "node/cell_activity.h"

#include <algorithm>
#include <cmath>

namespace rse {
namespace {

constexpr std::uint32_t kFadeShift = 4;  // a sixteenth a look
constexpr std::uint32_t kHeatOfEvent = 4096;
constexpr std::uint32_t kEventsMax = 8;  // more in one cell look the same
constexpr std::uint32_t kHeatMax = 65535;

}  // namespace

void CellActivity::note(std::span<const std::uint32_t, kCellCount> counts) {
  for (std::size_t cell = 0; cell < kCellCount; ++cell) {
    const std::uint32_t kept = heat_[cell] - (heat_[cell] >> kFadeShift);
    // What the shift cannot make smaller any more is gone.
    const std::uint32_t faded = kept == heat_[cell] ? 0 : kept;
    heat_[cell] = static_cast<std::uint16_t>(std::min(kHeatMax, faded + kHeatOfEvent * std::min(counts[cell], kEventsMax)));
  }
}

std::string CellActivity::levels() const {
  std::string levels(kCellCount, '\0');
  // The root: a single visit shows, and a busy cell still stands out.
  for (std::size_t cell = 0; cell < kCellCount; ++cell)
    levels[cell] = static_cast<char>(static_cast<unsigned char>(255.0 * std::sqrt(static_cast<double>(heat_[cell]) / kHeatMax)));
  return levels;
}

}  // namespace rse
