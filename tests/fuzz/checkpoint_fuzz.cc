// Any bytes as one region of a cut of a torus whose other regions are good. The first byte chooses the region (0 to 127 cells,
// from 128 on the head). What restores is written out again as the same bytes, and runs.
#include <algorithm>
#include <cstdint>
#include <memory>

#include "torus/base/assert.h"
#include "torus/braid/torus_machine.h"

using namespace rse;

namespace {

constexpr Capacity kCapacity{.events = 256, .edges = 256, .processes = 32, .outbox_events = 64};

/// A torus with a bit of everything, two epochs on.
const std::vector<Bytes>& good_cut() {
  static const std::vector<Bytes> cut = [] {
    Scenario scenario;
    scenario.epoch_ticks = 20;
    for (std::uint32_t i = 0; i < 6; ++i) scenario.edges.push_back({CellId{i}, CellId{(i + 1) % 6}, 3 + i});
    scenario.relays.push_back({CellId{300}, 5});
    scenario.processes.push_back({CellId{600}, "phold", "max_delay=9 remote=20"});
    scenario.processes.push_back({CellId{600}, "counter", ""});
    scenario.injections.push_back({Tick{1}, CellId{0}, CellId{0}, 4});
    TorusMachine machine(TorusId{0}, kCapacity);
    RSE_ASSERT(machine.load(RunId{1}, scenario).ok(), "the scenario is good");
    for (std::uint64_t epoch = 0; epoch < 2; ++epoch) {
      machine.run_epoch(nullptr, nullptr);
      machine.seal({});
    }
    std::vector<Bytes> regions(kRegionCount);
    for (std::size_t region = 0; region < kRegionCount; ++region) machine.write_region(region, regions[region]);
    return regions;
  }();
  return cut;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static TorusMachine machine(TorusId{0}, kCapacity);
  const std::size_t chosen = data[0] < kCellRegionCount ? data[0] : kHeadRegion;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  if (!machine.restore_region(kHeadRegion, chosen == kHeadRegion ? bytes : std::span<const std::byte>(good_cut()[kHeadRegion]))) return 0;
  for (std::size_t region = 0; region < kCellRegionCount; ++region) {
    const auto part = region == chosen ? bytes : std::span<const std::byte>(good_cut()[region]);
    if (!machine.restore_region(region, part)) return 0;
  }
  if (!machine.end_restore()) return 0;
  Bytes again;
  machine.write_region(chosen, again);
  RSE_ASSERT(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()), "a region has one encoding");
  return 0;
}
