#include "torus/watch/cell_activity.h"

#include <algorithm>

namespace rse {
namespace {

constexpr std::uint32_t kFadeShift = 3;  // an eighth a look
constexpr std::uint32_t kHeatOfEvent = 8192;
constexpr std::uint32_t kEventsMax = 8;  // more in one cell look the same
constexpr std::uint32_t kHeatMax = 65535;

/// The least heat of each level but 0. Levels go with the root: a single visit shows, and a busy cell still stands out.
constexpr std::array<std::uint32_t, kSightLevelMax> kThresholds = [] {
  std::array<std::uint32_t, kSightLevelMax> thresholds{};
  for (std::uint32_t level = 1; level <= kSightLevelMax; ++level)
    thresholds[level - 1] = kHeatMax * (2 * level - 1) * (2 * level - 1) / (4 * kSightLevelMax * kSightLevelMax);
  return thresholds;
}();

std::uint32_t level_of(std::uint32_t heat) {
  return static_cast<std::uint32_t>(std::upper_bound(kThresholds.begin(), kThresholds.end(), heat) - kThresholds.begin());
}

}  // namespace

void CellActivity::note(std::span<const std::uint32_t, kCellCount> counts) {
  for (std::size_t cell = 0; cell < kCellCount; ++cell) {
    const std::uint32_t kept = heat_[cell] - (heat_[cell] >> kFadeShift);
    // What the shift cannot make smaller any more is gone.
    const std::uint32_t faded = kept == heat_[cell] ? 0 : kept;
    heat_[cell] = static_cast<std::uint16_t>(std::min(kHeatMax, faded + kHeatOfEvent * std::min(counts[cell], kEventsMax)));
  }
}

Bytes CellActivity::levels() const {
  Bytes levels(kSightBytes);
  for (std::size_t pair = 0; pair < kSightBytes; ++pair)
    levels[pair] = static_cast<std::byte>(level_of(heat_[2 * pair]) | level_of(heat_[2 * pair + 1]) << 4);
  return levels;
}

}  // namespace rse
