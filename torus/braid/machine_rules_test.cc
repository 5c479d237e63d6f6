// The rules that the machine is made of, each on its own.
#include <doctest/doctest.h>

#include <algorithm>
#include <list>

#include "torus/base/random.h"
#include "torus/braid/client_table.h"
#include "torus/braid/coupling.h"
#include "torus/braid/cut_rule.h"
#include "torus/braid/epochs.h"

namespace rse {
namespace {

Epochs random_epochs(Random& random) {
  static constexpr std::uint64_t kLengths[] = {1, 3, 99, 100, 5000, 5001, 9999, 10000, 10001, 70000};
  Epochs epochs;
  epochs.mode = random.below(3) == 0 ? EpochLength::kFixed : EpochLength::kAdaptive;
  epochs.length = kLengths[random.below(10)];
  for (std::uint32_t i = random.below(30); i-- > 0;) {
    epochs.enter(random.below(3) == 0 ? random.below(40) : 0);
    epochs.finish();
  }
  return epochs;
}

TEST_CASE("epochs: passing over many at once is passing over one after the other") {
  Random random(1);
  for (int attempt = 0; attempt < 2000; ++attempt) {
    CAPTURE(attempt);
    const Epochs before = random_epochs(random);
    Epochs at_once = before;
    const std::uint32_t count = random.below(400);
    at_once.pass_over(count);
    Epochs one_by_one = before;
    for (std::uint32_t i = 0; i < count; ++i) {
      one_by_one.enter(0);
      one_by_one.finish();
    }
    REQUIRE(at_once == one_by_one);
  }
}

TEST_CASE("epochs: the holder of a tick is the epoch that a walk finds") {
  Random random(2);
  for (int attempt = 0; attempt < 2000; ++attempt) {
    CAPTURE(attempt);
    const Epochs before = random_epochs(random);
    const Tick time{before.start.raw + random.next() % (before.length * 300)};
    Epochs walk = before;
    for (;; walk.finish()) {
      walk.enter(0);
      if (time < walk.end()) break;
    }
    REQUIRE(before.holder_of(time) == walk.next);
    Epochs there = before;
    there.pass_over(walk.next.raw - before.next.raw);
    CHECK(there.start == walk.start);
  }
}

TEST_CASE("epochs: they end at the last tick") {
  Epochs epochs;
  epochs.length = 1ull << 62;
  epochs.pass_over(3);
  CHECK(!epochs.exhausted);
  epochs.enter(0);
  epochs.finish();
  CHECK(epochs.exhausted);
  CHECK(epochs.start == kLastTick);
  epochs.pass_over(1000);
  CHECK(epochs.start == kLastTick);
  CHECK(epochs.next == Epoch{1004});
}

TEST_CASE("coupling: corrections are halves toward zero within eight ticks") {
  CHECK(correction_of(1) == 0);
  CHECK(correction_of(-1) == 0);
  CHECK(correction_of(3) == 1);
  CHECK(correction_of(-3) == -1);
  CHECK(correction_of(17) == 8);
  CHECK(correction_of(-0xFFFFFFFFll) == -8);
}

TEST_CASE("coupling: over 32 epochs each cell of the face is constrained once") {
  std::array<int, kFaceCellCount> seen{};
  for (std::uint64_t epoch = 100; epoch < 132; ++epoch) {
    for (std::size_t i = 0; i < kConstraintsPerEpoch; ++i) ++seen[constraint_cell(i, {epoch})];
  }
  CHECK(std::ranges::all_of(seen, [](int count) { return count == 1; }));
}

TEST_CASE("clients: the table answers like a list in order of delivery, and restores itself") {
  Random random(3);
  ClientTable table;
  std::list<std::pair<std::uint64_t, std::uint64_t>> list;  // client, sequence; the latest at the back
  for (int step = 0; step < 60000; ++step) {
    CAPTURE(step);
    const std::uint64_t client = 1 + random.below(step < 30000 ? 1100 : 1500);
    const std::uint64_t sequence = random.below(1000);
    auto known = std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.first == client; });
    const bool repeated = known != list.end() && sequence <= known->second;
    std::uint64_t highest = sequence;
    if (known != list.end()) {
      highest = std::max(highest, known->second);
      list.erase(known);
    }
    list.emplace_back(client, highest);
    if (list.size() > kClientsMax) list.pop_front();
    REQUIRE(table.has_applied({client}, sequence) == repeated);
    REQUIRE((table.deliver({client}, sequence) == ClientTable::Verdict::kRepeated) == repeated);
    if (step % 1000 != 0) continue;
    Bytes bytes;
    table.encode(bytes);
    ClientTable restored;
    ByteReader reader(bytes);
    REQUIRE(restored.decode(reader).ok());
    Bytes again;
    restored.encode(again);
    REQUIRE(again == bytes);
    table = restored;
  }
  CHECK(table.deliver({0}, 1) == ClientTable::Verdict::kApply);
  CHECK(table.deliver({0}, 1) == ClientTable::Verdict::kApply);
}

TEST_CASE("cuts: the threshold follows the size of the largest torus between 20 ms and a second of replay") {
  Projection small;
  Projection large;
  large.pending = 500'000;
  large.edges = 100'000;
  large.processes = 10'000;
  CHECK(cut_event_threshold({&small, &small, &small}) == 20'000 * 50);
  CHECK(cut_event_threshold({&small, &large, &small}) == (12'000'000 + 1'600'000 + 640'000) / 20 * 50ull);
  large.pending = 100'000'000;
  CHECK(cut_event_threshold({&small, &large, &small}) == 1'000'000 * 50);

  CutRule rule;
  Projection busy;
  busy.events = 999'999;
  CHECK(!rule.note({10}, {&small, &busy, &small}));
  busy.events = 1'000'000;
  CHECK(rule.note({11}, {&small, &busy, &small}));
  CHECK(rule.epochs_at_last_cut == 12);
  CHECK(!rule.note({12}, {&small, &busy, &small}));
  CHECK(!rule.note({11 + 255}, {&small, &busy, &small}));
  CHECK(rule.note({11 + 256}, {&small, &busy, &small}));
}

}  // namespace
}  // namespace rse
