#include "node/cell_activity.h"

#include <doctest/doctest.h>

#include <vector>

namespace rse {
namespace {

int level(const CellActivity& activity, std::size_t cell) { return static_cast<unsigned char>(activity.levels()[cell]); }

}  // namespace

TEST_CASE("cells: one visit shows, more show more, and all of it fades to nothing") {
  CellActivity activity;
  std::vector<std::uint32_t> counts(kCellCount);
  const auto note = [&] { activity.note(std::span<const std::uint32_t, kCellCount>(counts)); };
  counts[7] = 1;
  counts[9] = 1000;
  note();
  CHECK(level(activity, 8) == 0);
  CHECK(level(activity, 7) > 30);
  CHECK(level(activity, 9) > level(activity, 7));
  counts[7] = counts[9] = 0;
  const int before = level(activity, 7);
  note();
  CHECK(level(activity, 7) < before);
  for (int look = 0; look < 200; ++look) note();
  CHECK(level(activity, 7) == 0);
  CHECK(level(activity, 9) == 0);
}

}  // namespace rse
