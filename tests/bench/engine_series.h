// The measurements of the engine's benchmark, a row each.
// Threads: measure_tori() runs one a torus. Memory: a torus or three at a time. Errors: a workload that does not fit is a
// bug.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/bench/engine_workload.h"
#include "tests/bench/measure.h"

namespace rse {

struct Row {
  std::string series;
  std::string model;
  std::uint32_t pending = 0;  // in each torus
  Rates engine;               // of all tori together
  std::optional<Rates> base;  // what it is compared with: the heap, one torus alone, a run without checkpoints
  std::optional<double> instructions;  // an event
  std::optional<double> bytes;         // resident, a pending event
  bool same_digest = true;             // as the heap's
};

/// Beside the binary heap up to a million pending events; beyond, the engine alone.
Row measure_pending(Model model, std::uint32_t pending);
/// PHOLD on three tori in one thread, their events handed over two epochs later as the braid does it.
Row measure_remote(std::uint32_t percent);
/// PHOLD with delays of up to `delay_max` ticks, most of them far beyond the wheel's lists of single ticks.
Row measure_far(std::uint32_t delay_max);
/// Six edges a cell to its neighbours: bursts that grow sixfold a step until the relays' limit.
Row measure_lattice();
/// Independent tori, each on a thread of its own, by wall clock; compared with one.
Row measure_tori(Model model, std::uint32_t count, const std::optional<Rates>& one);
/// With a checkpoint of all changed regions after each `epochs` epochs of 1,000 ticks, compared with epochs alone.
Row measure_checkpoints(Model model, std::uint32_t pending, std::uint32_t epochs);

}  // namespace rse
