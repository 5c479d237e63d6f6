#include "torus/base/histogram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "torus/base/random.h"

using namespace rse;

TEST_CASE("histogram: a percentile is that of the sorted values, at most an eighth too high") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Histogram histogram;
    std::vector<std::uint64_t> values(1 + random.below(Histogram::kFadeCount - 1));
    for (std::uint64_t& value : values) histogram.add(value = random.next() >> (24 + random.below(40)));
    std::sort(values.begin(), values.end());
    for (const std::uint32_t permille : {1u, 500u, 990u, 999u, 1000u}) {
      CAPTURE(permille);
      const std::uint64_t exact = values[(values.size() * permille + 999) / 1000 - 1];
      CHECK(histogram.percentile(permille) >= exact);
      CHECK(histogram.percentile(permille) <= exact + exact / 8);
    }
  }
}

TEST_CASE("histogram: old values fade, an empty one says 0, and what is too large is counted") {
  Histogram histogram;
  CHECK(histogram.percentile(500) == 0);
  for (int i = 0; i < 4000; ++i) histogram.add(100);
  for (int i = 0; i < 20'000; ++i) histogram.add(5);
  CHECK(histogram.percentile(990) == 5);
  CHECK(histogram.count() < Histogram::kFadeCount);
  histogram.add(~std::uint64_t{0});
  CHECK(histogram.percentile(1000) > std::uint64_t{1} << 39);
}
