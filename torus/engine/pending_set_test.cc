#include "torus/engine/pending_set.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "torus/base/random.h"
#include "torus/engine/key_sort.h"
#include "torus/engine/rank_sort.h"

using namespace rse;

TEST_CASE("packed event: ascending numbers are canonical order, and nothing is lost") {
  const Event a{{5}, {kCellCount + 1}, {70000}, -1};
  const Event b{{5}, {kCellCount + 1}, {70000}, 1};
  const Event c{{5}, {kCellCount + 2}, {0}, -2147483647};
  const auto packed = [](const Event& event) {
    return pack(index_of(event.dst), event.src.raw, event.payload);
  };
  CHECK(packed(a) < packed(b));
  CHECK(packed(b) < packed(c));
  CHECK(unpack(packed(c), {5}, {1}) == c);
}

TEST_CASE("sort: every size and shape of a tick comes out ascending") {
  constexpr std::uint32_t kCountMax = 300'000;  // more than 16 bits count, in one region too
  std::vector<PackedEvent> scratch(kCountMax + kRankPadding);
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::uint32_t count = random.below(seed % 40 == 0 ? kCountMax : seed % 8 == 0 ? 20000 : seed % 2 == 0 ? 300 : 40);
    const std::uint32_t cells = 1 + random.below(seed % 3 == 0 ? 4 : kCellCount);
    const std::uint32_t stride = seed % 5 == 0 ? 32 : seed % 5 == 1 ? 1024 : 1;  // cells of a line or a plane
    const std::uint32_t sources = seed % 7 == 0 ? 2 : kGlobalCellCount;
    const std::uint32_t payloads = seed % 11 == 0 ? 3 : ~0u;
    std::vector<PackedEvent> events(count);
    for (PackedEvent& event : events) {
      event = pack(random.below(cells) * stride % kCellCount, random.below(sources),
                   static_cast<std::int32_t>(random.below(payloads)));
    }
    if (seed % 13 == 0) std::sort(events.begin(), events.end(), std::greater<>());
    std::vector<PackedEvent> expected = events;
    std::sort(expected.begin(), expected.end());
    std::vector<PackedEvent> buffer(count + kRankPadding);
    for (const Ties ties : {Ties::kBySource, Ties::kByPayload}) {
      std::vector<PackedEvent> input = events;
      std::vector<PackedEvent> sorted;
      sort_tick(
          count, ties, buffer.data(), scratch.data(), [&](auto visit) { visit(input.data(), count); },
          [&] { input.assign(input.size(), 0); },
          [&](const PackedEvent* piece, std::uint32_t in_piece) {
            sorted.insert(sorted.end(), piece, piece + in_piece);
          });
      CHECK(sorted == expected);
    }
  }
}

TEST_CASE("pending set: whatever the gaps, ticks come in order and complete") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    constexpr std::uint32_t kEvents = 400;
    Carver measure(nullptr);
    PendingSet pending;
    pending.carve(measure, kEvents);
    Arena arena;
    Carver carver(arena.reserve(measure.size()));
    pending.carve(carver, kEvents);
    pending.reset();
    std::map<std::uint64_t, std::multiset<PackedEvent>> expected;
    std::uint64_t now = random.next() >> random.below(64);
    const std::uint32_t spread = random.below(60);
    std::uint32_t count = 0;
    for (int step = 0; step < 2000; ++step) {
      const std::uint64_t offset =
          std::min(~now, random.next() >> (4 + random.below(60 - spread) + spread));
      if (count < kEvents && random.below(2) == 0) {
        const PackedEvent event = random.next();
        pending.insert(now + offset, event);
        expected[now + offset].insert(event);
        ++count;
        continue;
      }
      const std::uint64_t end = std::max(now, now + offset);
      const std::uint64_t first = expected.empty() ? PendingSet::kNever : expected.begin()->first;
      CHECK(pending.earliest() == first);
      const std::uint64_t tick = pending.next_before(end);
      REQUIRE(tick == (first < end ? first : PendingSet::kNever));
      now = tick == PendingSet::kNever ? end : tick;
      if (tick == PendingSet::kNever) continue;
      std::vector<PackedEvent> taken;
      pending.visit_tick(tick, [&](const PackedEvent* events, std::uint32_t in_run) {
        taken.insert(taken.end(), events, events + in_run);
      });
      CHECK(pending.count_at(tick) == taken.size());
      pending.drop_tick(tick);
      std::sort(taken.begin(), taken.end());
      CHECK(std::ranges::equal(taken, expected.begin()->second));
      count -= static_cast<std::uint32_t>(taken.size());
      expected.erase(expected.begin());
    }
  }
}
