// The engine against the reference engine: everything that can be seen, after each epoch of random
// scenarios. A failure prints its seed; `--test-case=... ` with RSE_SEED=n runs that seed alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "torus/engine/random_scenario.h"
#include "torus/engine/reference_engine.h"

using namespace rse;

namespace {

using ProcessRow = std::tuple<std::uint64_t, std::uint32_t, std::string_view, std::int64_t>;

std::vector<ProcessRow> process_rows(const Torus& torus) {
  std::vector<ProcessRow> rows;
  torus.visit_processes(
      [](void* context, const ProcessInfo& info) {
        static_cast<std::vector<ProcessRow>*>(context)->push_back(
            {info.pid.raw, info.cell.raw, info.program, info.value});
      },
      &rows);
  return rows;
}

std::vector<ProcessRow> process_rows(const ReferenceEngine& reference) {
  std::vector<ProcessRow> rows;
  for (const auto& [cell, here] : reference.processes) {
    for (const auto& [pid, process] : here) {
      rows.push_back({pid, cell, process.program->name(), process.program->value(process.state)});
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

bool same_faces(const Torus& torus, const ReferenceEngine& reference) {
  const std::uint32_t first = torus.id().raw * kCellCount;
  const auto expected = [&](std::uint32_t cell) -> std::uint64_t {
    const auto found = reference.handled.find(first + cell);
    return found == reference.handled.end() ? 0 : found->second;
  };
  for (std::uint32_t i = 0; i < kFaceCellCount; ++i) {
    if (torus.low_face_counts()[i] != expected(i)) return false;
    if (torus.high_face_counts()[i] != expected(31 * 1024 + i)) return false;
  }
  return true;
}

bool same_outputs(const Torus& torus, const ReferenceEngine& reference) {
  const auto kept = torus.outputs();
  const auto& all = reference.outputs;
  if (kept.size() != std::min(all.size(), kOutputsMax)) return false;
  return std::equal(kept.begin(), kept.end(), all.end() - static_cast<std::ptrdiff_t>(kept.size()),
                    [](const Output& a, const Output& b) {
                      return a.number == b.number && a.time == b.time && a.cell == b.cell &&
                             a.value == b.value;
                    });
}

void check_same(const Torus& torus, const ReferenceEngine& reference) {
  CHECK(torus.event_digest() == reference.digest);
  CHECK(torus.counters() == reference.counters);
  CHECK(torus.pending_count() == reference.pending.size());
  CHECK(torus.edge_count() == reference.edge_count());
  CHECK(torus.process_count() == reference.process_count());
  for (std::uint8_t peer = 0; peer < kTorusCount; ++peer) {
    CHECK(std::ranges::equal(torus.outbox({peer}), reference.outboxes[peer]));
  }
  std::optional<Tick> next;
  if (!reference.pending.empty()) next = Tick{reference.pending.begin()->time};
  CHECK(torus.next_event_time() == next);
  std::uint64_t handled = 0;
  for (const auto& [cell, count] : reference.handled) handled += count;
  CHECK(torus.epoch_events() == handled);
  CHECK(same_faces(torus, reference));
  CHECK(same_outputs(torus, reference));
  CHECK(process_rows(torus) == process_rows(reference));
}

std::vector<Bytes> checkpoint(const Torus& torus) {
  std::vector<Bytes> parts(kCellRegionCount + 1);
  torus.write_head(parts[0]);
  for (std::size_t region = 0; region < kCellRegionCount; ++region) {
    torus.write_region(region, parts[region + 1]);
  }
  return parts;
}

void restore(const std::vector<Bytes>& parts, Torus& torus) {
  REQUIRE(torus.read_head(parts[0]).ok());
  for (std::size_t region = 0; region < kCellRegionCount; ++region) {
    REQUIRE(torus.read_region(region, parts[region + 1]).ok());
  }
}

template <class Body>
void for_seeds(std::uint64_t count, Body body) {
  if (const char* only = std::getenv("RSE_SEED")) return body(std::strtoull(only, nullptr, 10));
  const char* const percent = std::getenv("RSE_SEEDS_PERCENT");  // fewer on an emulated machine
  if (percent != nullptr) count = count * std::strtoull(percent, nullptr, 10) / 100;
  for (std::uint64_t seed = 1; seed <= count; ++seed) body(seed);
}

constexpr int kEpochs = 6;

}  // namespace

TEST_CASE("engine: random scenarios give what the reference engine gives, in every epoch") {
  for_seeds(500, [](std::uint64_t seed) {
    CAPTURE(seed);
    RandomScenario scenario(seed);
    Torus torus(scenario.torus(), scenario.capacity());
    ReferenceEngine reference(scenario.torus(), scenario.capacity());
    scenario.build(torus, reference);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      CAPTURE(epoch);
      scenario.run_epoch(torus, reference);
      check_same(torus, reference);
    }
  });
}

TEST_CASE("engine: a torus restored at every epoch goes on like one that never stopped") {
  for_seeds(600, [](std::uint64_t seed) {
    CAPTURE(seed);
    RandomScenario scenario(seed);
    Torus calm(scenario.torus(), scenario.capacity());
    auto moved = std::make_unique<Torus>(scenario.torus(), scenario.capacity());
    scenario.build(calm, *moved);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      CAPTURE(epoch);
      const std::vector<Bytes> parts = checkpoint(*moved);
      auto fresh = std::make_unique<Torus>(scenario.torus(), scenario.capacity());
      restore(parts, *fresh);
      CHECK(checkpoint(*fresh) == parts);
      CHECK(checkpoint(calm) == parts);
      moved = std::move(fresh);
      scenario.run_epoch(calm, *moved);
      CHECK(moved->event_digest() == calm.event_digest());
      CHECK(moved->counters() == calm.counters());
      CHECK(moved->next_event_time() == calm.next_event_time());
    }
  });
}

TEST_CASE("engine: a torus that is reset behaves like a new one, in the same memory") {
  const Capacity capacity{.events = 500, .edges = 400, .processes = 20, .outbox_events = 50};
  Torus reused({0}, capacity);
  const std::size_t bytes = reused.bytes_reserved();
  for_seeds(600, [&](std::uint64_t seed) {
    CAPTURE(seed);
    RandomScenario scenario(seed);
    RandomScenario again(seed);
    Torus fresh(scenario.torus(), capacity);
    reused.reset(scenario.torus());
    scenario.build(fresh);
    again.build(reused);
    for (int epoch = 0; epoch < 3; ++epoch) {
      scenario.run_epoch(fresh);
      again.run_epoch(reused);
    }
    CHECK(checkpoint(reused) == checkpoint(fresh));
    CHECK(reused.bytes_reserved() == bytes);
  });
}

TEST_CASE("engine: a region whose bytes changed says so") {
  for_seeds(300, [](std::uint64_t seed) {
    CAPTURE(seed);
    RandomScenario scenario(seed);
    Torus torus(scenario.torus(), scenario.capacity());
    scenario.build(torus);
    std::vector<Bytes> before = checkpoint(torus);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      torus.clear_changed();
      scenario.run_epoch(torus);
      std::vector<Bytes> after = checkpoint(torus);
      for (std::size_t region = 0; region < kCellRegionCount; ++region) {
        if (!torus.region_changed(region)) CHECK(before[region + 1] == after[region + 1]);
      }
      before = std::move(after);
    }
  });
}
