#include "torus/watch/cell_activity.h"

#include <doctest/doctest.h>

#include <vector>

namespace rse {
namespace {

std::uint32_t level(const CellActivity& activity, std::uint32_t cell) {
  return sight_level({.torus = {}, .corrective = 0, .levels = activity.levels()}, cell);
}

}  // namespace

TEST_CASE("cells: one visit shows, more show more, and all of it fades to nothing") {
  CellActivity activity;
  std::vector<std::uint32_t> counts(kCellCount);
  const auto note = [&] { activity.note(std::span<const std::uint32_t, kCellCount>(counts)); };
  counts[7] = 1;
  counts[10] = 1000;
  note();
  CHECK(level(activity, 6) == 0);
  CHECK(level(activity, 8) == 0);
  CHECK(level(activity, 11) == 0);
  CHECK(level(activity, 7) > 2);
  CHECK(level(activity, 10) == kSightLevelMax);
  counts[7] = counts[10] = 0;
  const std::uint32_t before = level(activity, 7);
  for (int look = 0; look < 3; ++look) note();
  CHECK(level(activity, 7) < before);
  CHECK(level(activity, 7) > 0);
  for (int look = 0; look < 100; ++look) note();
  CHECK(level(activity, 7) == 0);
  CHECK(level(activity, 10) == 0);
}

}  // namespace rse
