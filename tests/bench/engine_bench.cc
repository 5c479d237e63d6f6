// Events a second of the engine beside a binary heap with the same semantics and digest, in one run
// on one core.
//   bazel run -c opt //tests/bench:engine -- [--json]
// delay-1: one edge a cell, a random permutation (a ring for up to ten pending events), payloads
// positive: the steady state of a relay network. mixed: the same cells, delays begin at 1..64 and
// wander, payloads of both signs. phold: a process in every cell.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <queue>
#include <string>
#include <vector>

#include "torus/base/random.h"
#include "torus/engine/torus.h"

namespace rse {
namespace {

constexpr int kRuns = 5;
constexpr std::uint64_t kEventsPerRun =
    3'000'000;  // of the heap; the engine runs kEngineFactor times as many
constexpr std::uint64_t kEngineFactor = 4;
constexpr std::uint32_t kPholdDelayMax = 16;
constexpr std::uint32_t kMixedDelayMax = 64;

constexpr std::uint32_t kRingPendingMax = 10;  // "1 (ring)" and "10 (ring)" in the table of goals

enum class Model : std::uint8_t { kDelayOne, kMixed, kPhold };

const char* to_string(Model model) {
  switch (model) {
    case Model::kDelayOne:
      return "delay-1";
    case Model::kMixed:
      return "mixed";
    case Model::kPhold:
      return "phold";
  }
  return "";
}

/// What both engines start from.
struct Workload {
  Model model;
  std::vector<std::uint32_t> target;  // per cell
  std::vector<std::uint32_t> delay;
  std::vector<Event> events;
  std::uint64_t warm_up_ticks;
};

Workload make_workload(Model model, std::uint32_t pending) {
  Random random(pending + static_cast<std::uint32_t>(model));
  Workload workload{model, {}, {}, {}, 0};
  for (std::uint32_t i = 0; i < kCellCount; ++i) workload.target.push_back(i);
  if (pending <= kRingPendingMax) {
    std::rotate(workload.target.begin(), workload.target.begin() + 1, workload.target.end());
  } else {
    for (std::uint32_t i = kCellCount - 1; i > 0; --i) {
      std::swap(workload.target[i], workload.target[random.below(i + 1)]);
    }
  }
  const bool wanders = model != Model::kDelayOne;
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    workload.delay.push_back(wanders ? 1 + random.below(kMixedDelayMax) : 1);
  }
  for (std::uint32_t i = 0; i < pending; ++i) {
    const auto magnitude = static_cast<std::int32_t>(1 + random.below(1u << 29));
    const std::int32_t payload = wanders && random.below(2) == 0 ? -magnitude : magnitude;
    const CellId cell{pending >= kCellCount ? i % kCellCount : random.below(kCellCount)};
    workload.events.push_back({{wanders ? random.below(kMixedDelayMax) : 0}, cell, cell, payload});
  }
  const std::uint64_t mean_delay = model == Model::kDelayOne ? 1 : model == Model::kPhold ? 8 : 32;
  workload.warm_up_ticks = std::max<std::uint64_t>(2, kEventsPerRun / 4 * mean_delay / pending);
  return workload;
}

/// The heap engine: one torus, one edge or one phold process a cell, no refusals; nothing it does
/// not need.
class HeapEngine {
 public:
  explicit HeapEngine(const Workload& workload)
      : model_(workload.model), target_(workload.target), delay_(workload.delay) {
    for (const Event& event : workload.events) push(event);
    for (std::uint64_t pid = 1; pid <= kCellCount; ++pid) {
      random_.push_back(fold(pid ^ 0xA0761D6478BD642F, 0xE7037ED1A0B428DB));
    }
  }
  void run_until(std::uint64_t end) {
    while (queue_.top().time < end) {
      const std::uint64_t now = queue_.top().time;
      std::uint64_t sum = 0;
      while (!queue_.empty() && queue_.top().time == now) {
        const Item item = queue_.top();
        queue_.pop();
        const auto payload =
            static_cast<std::int32_t>(static_cast<std::uint32_t>(item.rest) ^ 0x80000000);
        const auto cell = static_cast<std::uint32_t>(item.rest >> 49);
        const auto source = static_cast<std::uint32_t>(item.rest >> 32) & 0x1FFFF;
        sum += digest_term({{now}, {cell}, {source}, payload});
        ++events_;
        push(model_ == Model::kPhold ? phold(now, cell) : relay(now, cell, payload));
      }
      digest_ = digest_step(digest_, {now}, sum);
    }
  }
  std::uint64_t events() const { return events_; }
  std::uint64_t digest() const { return digest_; }

 private:
  struct Item {
    std::uint64_t time;
    std::uint64_t rest;  // destination, source, payload: canonical order within a tick
    bool operator>(const Item& other) const {
      return time != other.time ? time > other.time : rest > other.rest;
    }
  };
  Event relay(std::uint64_t now, std::uint32_t cell, std::int32_t payload) {
    std::uint32_t& delay = delay_[cell];
    delay = payload > 0 ? std::max(1u, delay - 1) : delay + 1;
    return {{now + delay}, {target_[cell]}, {cell}, payload + 1};
  }
  Event phold(std::uint64_t now, std::uint32_t cell) {
    Random random(random_[cell]);
    const std::uint32_t delay = 1 + random.below(kPholdDelayMax);
    static_cast<void>(
        random.below(100));  // the draw for events to other tori, of which there are none
    const CellId to{random.below(kCellCount)};
    random_[cell] = random.state();
    return {{now + delay}, to, {cell}, 0};
  }
  void push(const Event& event) {
    const std::uint64_t payload = static_cast<std::uint32_t>(event.payload) ^ 0x80000000;
    queue_.push({event.time.raw, std::uint64_t{event.dst.raw} << 49 |
                                     std::uint64_t{event.src.raw} << 32 | payload});
  }

  Model model_;
  std::vector<std::uint32_t> target_;
  std::vector<std::uint32_t> delay_;
  std::vector<std::uint64_t> random_;
  std::priority_queue<Item, std::vector<Item>, std::greater<Item>> queue_;
  std::uint64_t events_ = 0;
  std::uint64_t digest_ = 0;
};

void fill(Torus& torus, const Workload& workload) {
  torus.reset({0});
  bool ok = true;
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    if (workload.model == Model::kPhold) {
      const std::string args = "max_delay=" + std::to_string(kPholdDelayMax) + " events=0";
      ok = ok && torus.spawn({i}, "phold", args, {0}).ok();
    } else {
      ok = ok && torus.connect({i}, {workload.target[i]}, workload.delay[i]).ok();
    }
  }
  for (const Event& event : workload.events) ok = ok && torus.insert(event).ok();
  RSE_ASSERT(ok, "the workload fits in the default capacity");
}

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
  std::uint64_t torus_end = 0;
  const auto run_torus = [&](std::uint64_t ticks) {
    torus.begin_epoch({torus_end}, {torus_end + ticks});
    torus.run_epoch();
    torus_end += ticks;
  };
  run_torus(workload.warm_up_ticks);
  heap.run_until(workload.warm_up_ticks);
  Row row{model, pending, {}, {}, torus.event_digest() == heap.digest()};
  // Delays adapt while it runs, so a run is as many slices of ticks as give the events it shall
  // have.
  const std::uint64_t slice =
      std::max<std::uint64_t>(1, kEventsPerRun / 32 * workload.warm_up_ticks / heap.events());
  std::uint64_t heap_end = workload.warm_up_ticks;
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
