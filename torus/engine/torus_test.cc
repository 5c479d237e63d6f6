#include "torus/engine/torus.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

using namespace rse;

namespace {

constexpr Capacity kSmall{.events = 100, .edges = 100, .processes = 10, .outbox_events = 10};
constexpr CellId kCell{0};
constexpr CellId kNeighbour{1};
constexpr std::uint64_t kLastTick = ~std::uint64_t{0};

void run(Torus& torus, std::uint64_t start, std::uint64_t end) {
  torus.begin_epoch({start}, {end});
  torus.run_epoch();
}

std::vector<std::int64_t> values(const Torus& torus) {
  std::vector<std::int64_t> values;
  torus.visit_processes(
      [](void* context, const ProcessInfo& info) {
        static_cast<std::vector<std::int64_t>*>(context)->push_back(info.value);
      },
      &values);
  return values;
}

}  // namespace

TEST_CASE("relay: a positive payload shortens the delay before it is used, others lengthen it") {
  for (const auto& [payload, delay] : {std::pair{1, 4}, {0, 6}, {-1, 6}}) {
    CAPTURE(payload);
    Torus torus({0}, kSmall);
    REQUIRE(torus.connect(kCell, kNeighbour, 5).ok());
    REQUIRE(torus.insert({{10}, kCell, kCell, payload}).ok());
    run(torus, 0, 11);
    CHECK(torus.next_event_time() == Tick{10 + static_cast<std::uint64_t>(delay)});
  }
}

TEST_CASE("relay: max_payload stops events and delays, and 0 is a limit") {
  Torus torus({0}, kSmall);
  REQUIRE(torus.connect(kCell, kNeighbour, 5).ok());
  torus.set_relay(kCell, 0);
  torus.set_relay(kCell, std::nullopt);  // changes nothing
  REQUIRE(torus.insert({{0}, kCell, kCell, 0}).ok());
  REQUIRE(torus.insert({{1}, kCell, kCell, -1}).ok());
  run(torus, 0, 2);
  CHECK(torus.pending_count() == 1);
  CHECK(torus.next_event_time() == Tick{1 + 6});
}

TEST_CASE("engine: two events a year apart cost no ticks in between") {
  Torus torus({1}, kSmall);
  const CellId cell = cell_at({1}, 0, 0, 0);
  for (std::uint64_t i = 0; i < 64; ++i) {
    REQUIRE(torus.insert({{std::uint64_t{1} << i}, cell, cell, 0}).ok());
  }
  REQUIRE(torus.insert({{kLastTick}, cell, cell, 0}).ok());
  run(torus, 0, kLastTick);
  CHECK(torus.counters().events == 64);
  CHECK(torus.next_event_time() == Tick{kLastTick});  // no epoch holds the last tick
}

TEST_CASE(
    "engine: an event beyond the last tick is refused and counted, and the delay still adapts") {
  Torus torus({0}, kSmall);
  REQUIRE(torus.connect(kCell, kCell, 10).ok());
  REQUIRE(torus.insert({{kLastTick - 10}, kCell, kCell, 1}).ok());  // delay 9: arrives
  REQUIRE(torus.insert({{kLastTick - 5}, kCell, kCell, 1}).ok());   // delay 8: too late
  run(torus, 0, kLastTick - 1);
  CHECK(torus.counters().refused == 1);
  CHECK(torus.pending_count() == 1);
  CHECK(torus.next_event_time() == Tick{kLastTick - 1});
}

TEST_CASE("engine: the pool that is full refuses at its count, and says so") {
  Torus torus({0}, {.events = 2, .edges = 1, .processes = 1, .outbox_events = 1});
  CHECK(torus.insert({{5}, kCell, kCell, 0}).ok());
  CHECK(torus.insert({{9}, kCell, kCell, 0}).ok());
  CHECK(torus.insert({{5}, kCell, kCell, 0}).error() == Error::kQueueFull);
  CHECK(torus.connect(kCell, cell_at({1}, 0, 0, 0), 1).ok());
  CHECK(torus.connect(kCell, kNeighbour, 1).error() == Error::kEdgesFull);
  CHECK(torus.spawn(kNeighbour, "counter", "", {0}).ok());
  CHECK(torus.spawn(kNeighbour, "counter", "", {0}).error() == Error::kProcessesFull);
  CHECK(torus.counters().refused == 3);
  run(torus, 0, 10);  // both events go to torus B, whose outbox holds one
  CHECK(torus.outbox({1}).size() == 1);
  CHECK(torus.counters().sent[1] == 1);
  CHECK(torus.counters().refused == 4);
}

TEST_CASE("engine: bad edges, cells, programs and arguments are errors") {
  Torus torus({0}, kSmall);
  const CellId elsewhere = cell_at({2}, 0, 0, 0);
  CHECK(torus.connect(kCell, kNeighbour, 0).error() == Error::kBadDelay);
  CHECK(torus.connect(kCell, kNeighbour, std::uint64_t{1} << 32).error() == Error::kBadDelay);
  CHECK(torus.connect(kCell, kNeighbour, 0xFFFFFFFF).ok());
  CHECK(torus.connect(elsewhere, kCell, 1).error() == Error::kWrongTorus);
  CHECK(torus.connect(kCell, CellId{3 * kCellCount}, 1).error() == Error::kWrongTorus);
  CHECK(torus.insert({{0}, elsewhere, kCell, 0}).error() == Error::kForeignEvent);
  CHECK(torus.insert({{0}, kCell, CellId{3 * kCellCount}, 0}).error() == Error::kForeignEvent);
  CHECK(torus.spawn(elsewhere, "counter", "", {0}).error() == Error::kWrongTorus);
  CHECK(torus.spawn(kCell, "nothing", "", {0}).error() == Error::kUnknownProgram);
  for (const char* args : {"max_delay=0", "max_delay=4294967296", "remote=101", "events=x",
                           "speed=1", "max_delay", "max_delay=99999999999999999999"}) {
    CAPTURE(args);
    CHECK(torus.spawn(kCell, "phold", args, {0}).error() == Error::kBadArguments);
  }
  CHECK(torus.spawn(kCell, "counter", std::string(257, ' '), {0}).error() == Error::kBadArguments);
  CHECK(torus.process_count() == 0);
}

TEST_CASE(
    "engine: an injection from a cell that no torus has is refused instead of stopping the torus") {
  Torus torus({0}, kSmall);
  torus.begin_epoch({0}, {10});
  torus.deliver({{0}, kCell, CellId{0xFFFFFFFF}, 1}, std::nullopt);
  torus.run_epoch();
  CHECK(torus.counters().refused == 1);
  CHECK(torus.counters().events == 0);
}

TEST_CASE("engine: an edge made again gets the new delay and keeps its place") {
  Torus torus({0}, kSmall);
  const CellId peer = cell_at({1}, 0, 0, 0);
  for (std::int32_t x = 0; x < 9; ++x) {
    REQUIRE(torus.connect(kCell, cell_at({1}, x, 0, 0), 7).ok());
  }
  REQUIRE(torus.connect(kCell, peer, 3).ok());
  CHECK(torus.edge_count() == 9);
  REQUIRE(torus.insert({{0}, kCell, kCell, 1}).ok());
  run(torus, 0, 1);
  REQUIRE(torus.outbox({1}).size() == 9);
  CHECK(torus.outbox({1})[0] == Event{{2}, peer, kCell, 2});
  CHECK(torus.outbox({1})[1].time == Tick{6});
}

TEST_CASE(
    "corrective: it comes first, moves every delay, is counted on faces, and programs do not see "
    "it") {
  Torus torus({0}, kSmall);
  const CellId cell = cell_at({0}, 31, 2, 3);
  REQUIRE(torus.connect(cell, kCell, 5).ok());
  torus.begin_epoch({0}, {1});
  torus.deliver({{0}, cell, cell, 1}, std::nullopt);
  torus.deliver_corrective(cell, kCell, -8);  // 5 becomes 13 before the relay makes it 12
  torus.run_epoch();
  CHECK(torus.next_event_time() == Tick{12});
  CHECK(torus.counters().corrective == 1);
  CHECK(torus.counters().events == 2);
  CHECK(torus.high_face_counts()[2 * 32 + 3] == 2);
  REQUIRE(torus.spawn(cell, "counter", "", {1}).ok());
  torus.begin_epoch({1}, {2});
  torus.deliver_corrective(cell, kCell, 8);
  torus.run_epoch();
  CHECK(values(torus) == std::vector<std::int64_t>{0});
}

TEST_CASE("engine: an epoch that is watched shows where its events went, and ends as if it were not") {
  Torus plain({0}, kSmall);
  Torus watched({0}, kSmall);
  std::vector<std::uint32_t> counts(kCellCount);
  for (Torus* torus : {&plain, &watched}) {
    for (std::uint32_t cell = 0; cell < 20; ++cell) REQUIRE(torus->connect({cell}, {(cell + 1) % 20}, 7 + cell).ok());
    for (std::uint32_t cell = 0; cell < 3; ++cell) REQUIRE(torus->insert({{cell}, {cell}, {cell}, -1'000'000}).ok());
    REQUIRE(torus->insert({{50'000'000}, {99}, {99}, 1}).ok());
  }
  for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
    watched.watch(counts.data());
    run(plain, epoch * 1000, epoch * 1000 + 1000);
    run(watched, epoch * 1000, epoch * 1000 + 1000);
    REQUIRE(watched.event_digest() == plain.event_digest());
    REQUIRE(watched.counters() == plain.counters());
    REQUIRE(watched.next_event_time() == plain.next_event_time());
  }
  CHECK(std::count_if(counts.begin(), counts.begin() + 20, [](std::uint32_t count) { return count > 0; }) > 15);
  CHECK(counts[99] > 20 * kLooksMax / 2);
  CHECK(std::count_if(counts.begin() + 20, counts.end(), [](std::uint32_t count) { return count > 0; }) == 1);
  const std::vector<std::uint32_t> before = counts;
  run(watched, 20'000, 21'000);
  CHECK(counts == before);
}

TEST_CASE("programs: a counter sums, a wave passes once and remembers when") {
  Torus torus({0}, kSmall);
  REQUIRE(torus.spawn(kCell, "wave", "", {0}).ok());
  REQUIRE(torus.spawn(kNeighbour, "wave", "delay_from_edges", {0}).ok());
  REQUIRE(torus.spawn(kNeighbour, "counter", "", {0}).ok());
  REQUIRE(torus.connect(kCell, kNeighbour, 5).ok());
  REQUIRE(torus.connect(kNeighbour, kCell, 5).ok());
  CHECK(values(torus) == std::vector<std::int64_t>{-1, -1, 0});
  REQUIRE(torus.insert({{100}, kCell, kCell, 7}).ok());
  run(torus, 0, 1000);
  CHECK(values(torus) == std::vector<std::int64_t>{100, 105, 7});
  CHECK(torus.counters().events == 3);  // the wave that came back was not passed on
}

TEST_CASE("programs: a counter alone in its cell takes a tick's events together, with the same result as one by one") {
  std::vector<std::int64_t> sums;
  for (const bool alone : {true, false}) {
    Torus torus({0}, Capacity{});
    REQUIRE(torus.spawn(kCell, "counter", "", {0}).ok());
    if (!alone) REQUIRE(torus.spawn(kCell, "counter", "", {0}).ok());
    REQUIRE(torus.connect(kNeighbour, kCell, 3).ok());
    for (std::int32_t i = 0; i < 200; ++i) {  // more than a batch, of both signs, from two cells; some go on to kCell
      REQUIRE(torus.insert({{5}, kCell, {static_cast<std::uint32_t>(i % 2)}, i * 7 - 500}).ok());
      REQUIRE(torus.insert({{5}, kNeighbour, kCell, i - 100}).ok());
    }
    run(torus, 0, 1000);
    CHECK(torus.counters().events == 600);
    CHECK(torus.pending_count() == 0);
    CHECK(torus.low_face_counts()[0] == 400);
    CHECK(torus.low_face_counts()[1] == 200);
    sums.push_back(values(torus)[0]);
    sums.push_back(static_cast<std::int64_t>(torus.event_digest()));
  }
  CHECK(sums[0] == 39'300 + 100);
  CHECK(sums[0] == sums[2]);
  CHECK(sums[1] == sums[3]);
}

TEST_CASE("programs: phold in every cell keeps its events, and those to other tori leave") {
  Torus torus({1}, {.events = 40000, .edges = 1, .processes = kCellCount, .outbox_events = 40000});
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    REQUIRE(torus.spawn({kCellCount + i}, "phold", "max_delay=8 remote=0", {0}).ok());
  }
  run(torus, 0, 100);
  CHECK(torus.pending_count() == kCellCount);
  torus.reset({1});
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    REQUIRE(torus.spawn({kCellCount + i}, "phold", "max_delay=8 remote=100", {0}).ok());
  }
  run(torus, 0, 100);
  CHECK(torus.pending_count() == 0);
  CHECK(torus.outbox({0}).size() + torus.outbox({2}).size() == kCellCount);
  CHECK(torus.outbox({0}).size() > kCellCount / 3);
}

TEST_CASE(
    "engine: a remote event made while no epoch runs is refused: no batch would take it along") {
  Torus torus({0}, kSmall);
  REQUIRE(torus.connect(kCell, cell_at({1}, 0, 0, 0), 1).ok());
  REQUIRE(torus.spawn(kCell, "phold", "events=3", {0}).ok());
  CHECK(torus.pending_count() == 3);  // phold begins with its own cell for that reason
  CHECK(torus.counters().refused == 0);
}

TEST_CASE("engine: progress is the ticks passed in the epoch") {
  Torus torus({0}, kSmall);
  CHECK(torus.progress() == 0);
  run(torus, 0, 500);
  CHECK(torus.progress() == 500);
}

TEST_CASE("engine: an idle region stays unchanged beside a busy one") {
  Torus torus({0}, kSmall);
  REQUIRE(torus.connect(kCell, kNeighbour, 2).ok());
  REQUIRE(torus.connect(kNeighbour, kCell, 2).ok());
  REQUIRE(torus.insert({{0}, kCell, kCell, 0}).ok());
  torus.clear_changed();
  run(torus, 0, 100);
  CHECK(torus.region_changed(0));
  for (std::size_t region = 1; region < kCellRegionCount; ++region) {
    CHECK_FALSE(torus.region_changed(region));
  }
}
