#include "transport/udp/interval_set.h"

#include <doctest/doctest.h>

#include <set>

#include "torus/base/random.h"

using namespace rse;

TEST_CASE("intervals: after any adding and removing the set is that of a plain set of numbers, in as few intervals as can be") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    IntervalSet intervals;
    std::set<std::uint64_t> plain;
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t begin = random.below(100), end = begin + random.below(20);
      if (random.below(3) == 0) {
        intervals.remove(begin, end);
        for (std::uint64_t n = begin; n < end; ++n) plain.erase(n);
      } else {
        intervals.add(begin, end);
        for (std::uint64_t n = begin; n < end; ++n) plain.insert(n);
      }
      std::size_t runs = 0;
      for (std::uint64_t n = 0; n < 130; ++n) {
        REQUIRE(intervals.contains(n) == plain.contains(n));
        runs += plain.contains(n) && !plain.contains(n - 1);
      }
      REQUIRE(intervals.count() == runs);
      for (std::size_t i = 0; i < intervals.count(); ++i) {
        const Interval& interval = intervals.intervals()[i];
        REQUIRE(interval.begin < interval.end);
        if (i > 0) REQUIRE(intervals.intervals()[i - 1].end < interval.begin);
      }
    }
  }
}
