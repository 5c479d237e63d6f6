// A torus's memory is constant: no page more after many events and resets than after the first few of each.
//   bazel test //tests/bench:engine_memory_test                        30 million events, 30 resets
//   bazel run -c opt //tests/bench:engine_memory_test -- --full        10^9 events, 1,000 resets
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "tests/bench/engine_workload.h"
#include "tests/bench/measure.h"

namespace rse {
namespace {

constexpr std::uint32_t kPending = 32768;
constexpr std::size_t kArenaBytesMax = 150'000'000;  // DESIGN 2.2
constexpr std::size_t kSlackBytes = 64 << 10;        // the C library's own pages

void run_events(Torus& torus, std::uint64_t count) {
  constexpr std::uint64_t kEpochTicks = 100;
  std::uint64_t start = 0;
  const std::uint64_t before = torus.counters().events;
  for (; torus.counters().events - before < count; start += kEpochTicks) {
    torus.begin_epoch({start}, {start + kEpochTicks});
    torus.run_epoch();
  }
}

// Each model after a reset, so that every pool is used and reused.
void reset_and_run(Torus& torus, const Workload* workloads, std::uint32_t turn) {
  fill(torus, workloads[turn % std::size(kModels)]);
  run_events(torus, 200'000);
}

int run(std::uint64_t events, std::uint32_t resets) {
  Workload workloads[std::size(kModels)];
  for (std::size_t i = 0; i < std::size(kModels); ++i) workloads[i] = make_workload(kModels[i], kPending);
  Torus torus({0}, Capacity{});
  const std::size_t reserved = torus.bytes_reserved();
  for (std::uint32_t turn = 0; turn < 2 * std::size(kModels); ++turn) reset_and_run(torus, workloads, turn);
  fill(torus, workloads[0]);
  run_events(torus, 10'000'000);
  const std::size_t first = resident_bytes();
  for (std::uint32_t turn = 0; turn < resets; ++turn) reset_and_run(torus, workloads, turn);
  const std::size_t after_resets = resident_bytes();
  fill(torus, workloads[0]);
  run_events(torus, events);
  const std::size_t after_events = resident_bytes();
  std::printf("resident kB: %zu at first, %zu after %u resets, %zu after %llu events; reserved %zu kB\n",
              first / 1024, after_resets / 1024, resets, after_events / 1024,
              static_cast<unsigned long long>(events), reserved / 1024);
  const bool constant = first != 0 && after_resets <= first + kSlackBytes && after_events <= first + kSlackBytes;
  if (!constant) std::printf("FAILED: memory grows, or /proc/self/smaps_rollup cannot be read\n");
  if (reserved > kArenaBytesMax) std::printf("FAILED: a torus reserves more than 150 MB\n");
  return constant && reserved <= kArenaBytesMax && torus.bytes_reserved() == reserved ? 0 : 1;
}

}  // namespace
}  // namespace rse

int main(int argc, char** argv) {
  if (argc > 2 || (argc == 2 && std::strcmp(argv[1], "--full") != 0)) {
    std::fprintf(stderr, "usage: engine_memory_test [--full]\n");
    return 2;
  }
  return argc == 2 ? rse::run(1'000'000'000, 1000) : rse::run(30'000'000, 30);
}
