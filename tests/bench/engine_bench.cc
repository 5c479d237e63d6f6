// Events a second of the engine beside a binary heap with the same semantics and digest, in one run
// on one core.
//   bazel run -c opt //tests/bench:engine -- [--json]
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "tests/bench/heap_engine.h"
#include "torus/engine/torus.h"

namespace rse {
namespace {

constexpr int kRuns = 5;
constexpr std::uint64_t kEventsPerRun =
    3'000'000;  // of the heap; the engine runs kEngineFactor times as many
constexpr std::uint64_t kEngineFactor = 4;

double seconds_of(auto work) {
  const std::clock_t start = std::clock();  // processor time: other builds share the cores
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

struct Rates {
  std::array<double, kRuns> millions;  // events a second
  double median() const {
    auto sorted = millions;
    std::sort(sorted.begin(), sorted.end());
    return sorted[kRuns / 2];
  }
  double spread() const {
    const auto [low, high] = std::minmax_element(millions.begin(), millions.end());
    return *high - *low;
  }
};

struct Row {
  Model model;
  std::uint32_t pending;
  Rates engine;
  Rates heap;
  bool same_digest;
};

Row measure(Torus& torus, Model model, std::uint32_t pending) {
  const Workload workload = make_workload(model, pending);
  fill(torus, workload);
  HeapEngine heap(workload);
  const std::uint64_t warm_up_ticks =
      std::max<std::uint64_t>(2, kEventsPerRun / 4 * mean_delay(model) / pending);
  std::uint64_t torus_end = 0;
  const auto run_torus = [&](std::uint64_t ticks) {
    torus.begin_epoch({torus_end}, {torus_end + ticks});
    torus.run_epoch();
    torus_end += ticks;
  };
  run_torus(warm_up_ticks);
  heap.run_until(warm_up_ticks);
  Row row{model, pending, {}, {}, torus.event_digest() == heap.digest()};
  // Delays adapt while it runs, so a run is as many slices of ticks as give the events it shall
  // have.
  const std::uint64_t slice =
      std::max<std::uint64_t>(1, kEventsPerRun / 32 * warm_up_ticks / heap.events());
  std::uint64_t heap_end = warm_up_ticks;
  for (int run = 0; run < kRuns; ++run) {
    const std::uint64_t torus_before = torus.counters().events;
    const double torus_seconds = seconds_of([&] {
      while (torus.counters().events - torus_before < kEventsPerRun * kEngineFactor)
        run_torus(slice);
    });
    const auto torus_events = static_cast<double>(torus.counters().events - torus_before);
    row.engine.millions[run] = torus_events / torus_seconds / 1e6;
    const std::uint64_t heap_before = heap.events();
    const double heap_seconds = seconds_of([&] {
      while (heap.events() - heap_before < kEventsPerRun) heap.run_until(heap_end += slice);
    });
    row.heap.millions[run] = static_cast<double>(heap.events() - heap_before) / heap_seconds / 1e6;
  }
  return row;
}

void print_table_row(const Row& row) {
  std::printf("%-8s %9u  %8.1f +-%6.1f  %8.1f +-%6.1f  %6.1fx  %s\n", to_string(row.model),
              row.pending, row.engine.median(), row.engine.spread() / 2, row.heap.median(),
              row.heap.spread() / 2, row.engine.median() / row.heap.median(),
              row.same_digest ? "same" : "DIFFERENT");
  std::fflush(stdout);
}

void print_json_row(const Row& row, bool first) {
  std::printf(
      "%s\n  {\"model\": \"%s\", \"pending\": %u, \"runs\": %d, \"engine_events_per_second\": "
      "%.0f, "
      "\"engine_spread\": %.0f, \"heap_events_per_second\": %.0f, \"heap_spread\": %.0f, "
      "\"ratio\": %.2f, \"same_digest\": %s}",
      first ? "" : ",", to_string(row.model), row.pending, kRuns, row.engine.median() * 1e6,
      row.engine.spread() * 1e6, row.heap.median() * 1e6, row.heap.spread() * 1e6,
      row.engine.median() / row.heap.median(), row.same_digest ? "true" : "false");
  std::fflush(stdout);
}

int run(bool json) {
  Torus torus({0}, Capacity{});
  if (json) {
    std::printf("{\"benchmark\": \"engine\", \"rows\": [");
  } else {
    std::printf("million events a second, median of %d runs and half the spread\n", kRuns);
    std::printf("%-8s %9s  %18s  %18s  %7s  digest\n", "model", "pending", "engine", "binary heap",
                "ratio");
  }
  bool same = true;
  bool first = true;
  for (const Model model : {Model::kDelayOne, Model::kMixed, Model::kPhold}) {
    for (const std::uint32_t pending : {1u, 10u, 32u, 1000u, 8000u, 32768u, 1'000'000u}) {
      if (model == Model::kPhold && pending <= kRingPendingMax) continue;  // PHOLD has no ring
      const Row row = measure(torus, model, pending);
      same = same && row.same_digest;
      if (json) {
        print_json_row(row, first);
      } else {
        print_table_row(row);
      }
      first = false;
    }
  }
  if (json) std::printf("\n]}\n");
  return same ? 0 : 1;
}

}  // namespace
}  // namespace rse

int main(int argc, char** argv) {
  if (argc > 2 || (argc == 2 && std::strcmp(argv[1], "--json") != 0)) {
    std::fprintf(stderr, "usage: engine [--json]\n");
    return 2;
  }
  return rse::run(argc == 2);
}
