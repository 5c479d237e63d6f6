#include "tests/bench/engine_series.h"

#include <chrono>
#include <ctime>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "tests/bench/heap_engine.h"
#include "tests/bench/measure.h"

namespace rse {
namespace {

constexpr std::uint64_t kHeapEventsPerRun = 2'000'000;
constexpr std::uint64_t kEventsPerRun = 8'000'000;
constexpr std::uint32_t kHeapPendingMax = 1'000'000;
constexpr std::uint32_t kPending = 32'768;  // where a series has one load only
constexpr std::uint64_t kEpochTicks = 1000;

// Processor time: other programs share the cores.
double seconds_of(auto work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

double wall_seconds_of(auto work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A torus and how far it has run.
class Runner {
 public:
  Runner(const Workload& workload, std::uint32_t pending) : torus_({0}, capacity_for(pending)) {
    fill(torus_, workload);
  }
  void run_ticks(std::uint64_t ticks) {
    torus_.begin_epoch({end_}, {end_ + ticks});
    torus_.run_epoch();
    end_ += ticks;
  }
  /// At least `count` events, in slices of `ticks`. How many it were.
  std::uint64_t run_events(std::uint64_t count, std::uint64_t ticks) {
    const std::uint64_t before = torus_.counters().events;
    while (torus_.counters().events - before < count) run_ticks(ticks);
    return torus_.counters().events - before;
  }
  Torus& torus() { return torus_; }

 private:
  Torus torus_;
  std::uint64_t end_ = 0;
};

Rates measure_heap(HeapEngine& heap, std::uint64_t end, std::uint64_t slice) {
  Rates rates;
  for (double& rate : rates.per_second) {
    const std::uint64_t before = heap.events();
    const double seconds = seconds_of([&] {
      while (heap.events() - before < kHeapEventsPerRun) heap.run_until(end += slice);
    });
    rate = static_cast<double>(heap.events() - before) / seconds;
  }
  return rates;
}

}  // namespace

Row measure_pending(Model model, std::uint32_t pending) {
  const Workload workload = make_workload(model, pending);
  const std::uint64_t warm_up = warm_up_ticks(model, pending);
  const std::uint64_t slice = slice_ticks(model, pending);
  Workload without_events = workload;
  without_events.events.clear();
  Runner runner(without_events, pending);
  const std::size_t empty_bytes = resident_bytes();
  for (const Event& event : workload.events) RSE_ASSERT(runner.torus().insert(event).ok(), "it has room");
  runner.run_ticks(warm_up);
  Row row{.series = "pending", .model = to_string(model), .pending = pending};
  row.bytes = static_cast<double>(resident_bytes() - empty_bytes) / pending;
  std::optional<HeapEngine> heap;
  if (pending <= kHeapPendingMax) {
    heap.emplace(workload);
    heap->run_until(warm_up);
    row.same_digest = heap->digest() == runner.torus().event_digest();
  }
  const InstructionCounter counter;
  const auto instructions_before = counter.read_count();
  std::uint64_t total = 0;
  for (double& rate : row.engine.per_second) {
    std::uint64_t events = 0;
    const double seconds = seconds_of([&] { events = runner.run_events(kEventsPerRun, slice); });
    rate = static_cast<double>(events) / seconds;
    total += events;
  }
  if (instructions_before) {
    row.instructions = static_cast<double>(*counter.read_count() - *instructions_before) / static_cast<double>(total);
  }
  if (heap) row.base = measure_heap(*heap, warm_up, slice);
  return row;
}

namespace {

/// Three tori that hand their events over as the braid does: what epoch j sent arrives at the start of epoch j + 2.
class ThreeTori {
 public:
  explicit ThreeTori(std::uint32_t remote_percent) {
    for (std::uint8_t id = 0; id < kTorusCount; ++id) {
      tori_.push_back(std::make_unique<Torus>(TorusId{id}, Capacity{}));
      const std::string args =
          "max_delay=" + std::to_string(kPholdDelayMax) + " events=1 remote=" + std::to_string(remote_percent);
      for (std::uint32_t i = 0; i < kCellCount; ++i) {
        const bool ok = tori_[id]->spawn({id * kCellCount + i}, "phold", args, {0}).ok();
        RSE_ASSERT(ok, "a process a cell fits in the default capacity");
      }
    }
    in_flight_.resize(2);
  }
  void run_epoch() {
    for (auto& torus : tori_) torus->begin_epoch({end_}, {end_ + kRemoteEpochTicks});
    for (const Event& event : in_flight_.front()) {
      tori_[torus_of(event.dst).raw]->deliver(event, torus_of(event.src));
    }
    in_flight_.pop_front();
    in_flight_.emplace_back();
    for (auto& torus : tori_) {
      torus->run_epoch();
      for (std::uint8_t peer = 0; peer < kTorusCount; ++peer) {
        const auto sent = torus->outbox({peer});
        in_flight_.back().insert(in_flight_.back().end(), sent.begin(), sent.end());
      }
    }
    end_ += kRemoteEpochTicks;
  }
  std::uint64_t events() const {
    std::uint64_t sum = 0;
    for (const auto& torus : tori_) sum += torus->counters().events;
    return sum;
  }

 private:
  static constexpr std::uint64_t kRemoteEpochTicks = 64;
  std::vector<std::unique_ptr<Torus>> tori_;
  std::deque<std::vector<Event>> in_flight_;
  std::uint64_t end_ = 0;
};

}  // namespace

Row measure_remote(std::uint32_t percent) {
  ThreeTori tori(percent);
  for (int epoch = 0; epoch < 8; ++epoch) tori.run_epoch();
  Row row{.series = "remote", .model = "phold " + std::to_string(percent) + " %", .pending = kPending};
  for (double& rate : row.engine.per_second) {
    const std::uint64_t before = tori.events();
    const double seconds = seconds_of([&] {
      while (tori.events() - before < kEventsPerRun) tori.run_epoch();
    });
    rate = static_cast<double>(tori.events() - before) / seconds;
  }
  return row;
}

Row measure_far(std::uint32_t delay_max) {
  Torus torus({0}, Capacity{});
  const std::string args = "events=1 max_delay=" + std::to_string(delay_max);
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    const bool ok = torus.spawn({i}, "phold", args, {0}).ok();
    RSE_ASSERT(ok, "a process a cell fits in the default capacity");
  }
  std::uint64_t end = 0;
  const auto run_events = [&](std::uint64_t count) {
    const std::uint64_t before = torus.counters().events;
    while (torus.counters().events - before < count) {
      torus.begin_epoch({end}, {end + delay_max});
      torus.run_epoch();
      end += delay_max;
    }
    return static_cast<double>(torus.counters().events - before);
  };
  run_events(kHeapEventsPerRun / 4);
  Row row{.series = "far", .model = "phold, delays to " + std::to_string(delay_max), .pending = kPending};
  for (double& rate : row.engine.per_second) {
    double events = 0;
    const double seconds = seconds_of([&] { events = run_events(kEventsPerRun / 4); });
    rate = events / seconds;
  }
  return row;
}

Row measure_lattice() {
  constexpr std::int32_t kLimit = 5;
  constexpr std::uint32_t kSeeds = 32;
  Torus torus({0}, Capacity{});
  bool ok = true;
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    torus.set_relay({i}, kLimit);
    for (const unsigned shift : {10u, 5u, 0u}) {  // x, y, z
      const std::uint32_t mask = 31u << shift;
      const std::uint32_t up = (i & ~mask) | ((i + (1u << shift)) & mask);
      const std::uint32_t down = (i & ~mask) | ((i - (1u << shift)) & mask);
      ok = ok && torus.connect({i}, {up}, 3).ok() && torus.connect({i}, {down}, 3).ok();
    }
  }
  RSE_ASSERT(ok, "six edges a cell fit in the default capacity");
  Random random(1);
  std::uint64_t end = 0;
  const auto run_burst = [&] {
    for (std::uint32_t i = 0; i < kSeeds; ++i) {
      const CellId cell{random.below(kCellCount)};
      RSE_ASSERT(torus.insert({{end}, cell, cell, 1}).ok(), "it has room");
    }
    torus.begin_epoch({end}, {end + 100});
    torus.run_epoch();
    end += 100;
  };
  run_burst();
  Row row{.series = "lattice", .model = "relay, 6 edges", .pending = 0};
  for (double& rate : row.engine.per_second) {
    const std::uint64_t before = torus.counters().events;
    const double seconds = seconds_of([&] {
      while (torus.counters().events - before < kEventsPerRun) run_burst();
    });
    rate = static_cast<double>(torus.counters().events - before) / seconds;
  }
  return row;
}

Row measure_tori(Model model, std::uint32_t count, const std::optional<Rates>& one) {
  const Workload workload = make_workload(model, kPending);
  const std::uint64_t slice = slice_ticks(model, kPending);
  std::vector<std::unique_ptr<Runner>> runners;
  for (std::uint32_t i = 0; i < count; ++i) {
    runners.push_back(std::make_unique<Runner>(workload, kPending));
    runners.back()->run_ticks(warm_up_ticks(model, kPending));
  }
  Row row{.series = "tori", .model = std::string(to_string(model)) + ", tori: " + std::to_string(count),
          .pending = kPending, .base = one};
  for (double& rate : row.engine.per_second) {
    std::vector<std::uint64_t> events(count);
    const double seconds = wall_seconds_of([&] {
      std::vector<std::thread> threads;
      for (std::uint32_t i = 0; i < count; ++i) {
        threads.emplace_back([&, i] { events[i] = runners[i]->run_events(2 * kEventsPerRun, slice); });
      }
      for (std::thread& thread : threads) thread.join();
    });
    for (const std::uint64_t in_torus : events) rate += static_cast<double>(in_torus) / seconds;
  }
  return row;
}

Row measure_checkpoints(Model model, std::uint32_t pending, std::uint32_t epochs) {
  Runner runner(make_workload(model, pending), pending);
  runner.run_ticks(warm_up_ticks(model, pending));
  std::vector<Bytes> parts(kCellRegionCount + 1);
  const auto write_checkpoint = [&] {
    const Torus& torus = runner.torus();
    parts[0].clear();
    torus.write_head(parts[0]);
    for (std::size_t region = 0; region < kCellRegionCount; ++region) {
      if (!torus.region_changed(region)) continue;
      parts[region + 1].clear();
      torus.write_region(region, parts[region + 1]);
    }
    runner.torus().clear_changed();
  };
  Row row{.series = "checkpoints", .model = std::string(to_string(model)) + ", epochs: " + std::to_string(epochs),
          .pending = pending, .base = Rates{}};
  const auto rate_of = [&](auto after_epochs) {
    const std::uint64_t before = runner.torus().counters().events;
    const double seconds = seconds_of([&] {
      do {
        for (std::uint32_t epoch = 0; epoch < epochs; ++epoch) runner.run_ticks(kEpochTicks);
        after_epochs();
      } while (runner.torus().counters().events - before < 2 * kEventsPerRun);
    });
    return static_cast<double>(runner.torus().counters().events - before) / seconds;
  };
  for (int run = 0; run < kRuns; ++run) {
    row.base->per_second[run] = rate_of([] {});
    row.engine.per_second[run] = rate_of(write_checkpoint);
  }
  return row;
}

}  // namespace rse
