#include "torus/engine/random_scenario.h"

#include <algorithm>
#include <limits>

namespace rse {

RandomScenario::RandomScenario(std::uint64_t seed) : random_(seed * 0x9E3779B97F4A7C15) {
  torus_ = {static_cast<std::uint8_t>(random_.below(3))};
  const std::uint32_t size = random_.below(20);
  capacity_.events = size < 2 ? 20000 : size < 6 ? 2000 : 1 + random_.below(300);
  capacity_.edges = chance(30) ? 1 + random_.below(10) : 500;
  capacity_.processes = chance(30) ? 1 + random_.below(5) : 64;
  capacity_.outbox_events = chance(30) ? random_.below(4) : 1000;
  burst_ = chance(70) ? 0 : random_.below(capacity_.events);
  cell_count_ = 1 + random_.below(burst_ > 100 && chance(60) ? 10000 : 12);
  for (std::uint32_t i = 0; i < cell_count_; ++i) {
    const std::uint32_t face = random_.below(4);
    const std::uint32_t cell = random_.below(face < 2 ? kFaceCellCount : kCellCount);
    cells_.push_back(face == 1 ? kCellCount - 1 - cell : cell);
  }
  delay_style_ = random_.below(5);
  epoch_ticks_ = delay_style_ == kHugeDelays ? 0xFFFFFFFF : capacity_.events > 2000 ? 4 : 60;
  if (delay_style_ == 3) epoch_ticks_ *= 40;
  // Where the run begins: at zero, anywhere, or so late that times overflow.
  const std::uint32_t era = random_.below(6);
  if (era == 1) start_ = random_.next() >> random_.below(64);
  if (era == 2) start_ = ~std::uint64_t{0} - random_.below(5000);
  if (era == 3) start_ = ~std::uint64_t{0} - (random_.next() >> 30);
}

std::uint64_t RandomScenario::delay() {
  switch (delay_style_) {
    case 0:
      return 1;
    case 1:
      return 1 + random_.below(4);
    case 2:
      return 1 + random_.below(60);
    case 3:
      return 1 + random_.below(5000);
    default:
      return 0xFFFFFFFF - (random_.next() >> (36 + random_.below(28)));
  }
}

std::int32_t RandomScenario::payload() {
  switch (random_.below(5)) {
    case 0:
      return std::numeric_limits<std::int32_t>::max() - static_cast<std::int32_t>(random_.below(3));
    case 1:
      return std::numeric_limits<std::int32_t>::min() + static_cast<std::int32_t>(random_.below(3));
    case 2:
      return static_cast<std::int32_t>(random_.next());
    default:
      return static_cast<std::int32_t>(random_.below(7)) - 3;
  }
}

std::uint64_t RandomScenario::time_from(std::uint64_t start) {
  const std::uint64_t room = ~std::uint64_t{0} - start;
  if (chance(10)) return start + std::min(room, random_.next() >> random_.below(64));
  return start +
         std::min<std::uint64_t>(room, random_.below(static_cast<std::uint32_t>(epoch_ticks_)));
}

}  // namespace rse
