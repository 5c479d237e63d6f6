// What the engine's benchmarks and its guards run: the same scenario for the engine and for the binary heap.
// Threads: none. Memory: a few megabytes. Errors: none. Invariant: the same model and count give the same workload on
// every machine.
//   delay-1: one edge a cell, a random permutation (a ring for up to ten pending events), payloads positive: the steady
//   state of a relay network. mixed: the same cells, delays begin at 1..64 and wander, payloads of both signs. phold: a
//   process in every cell.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "torus/engine/torus.h"

namespace rse {

inline constexpr std::uint32_t kPholdDelayMax = 16;
inline constexpr std::uint32_t kMixedDelayMax = 64;
inline constexpr std::uint32_t kRingPendingMax = 10;  // "1 (ring)" and "10 (ring)" in the table of goals

enum class Model : std::uint8_t { kDelayOne, kMixed, kPhold };
inline constexpr Model kModels[] = {Model::kDelayOne, Model::kMixed, Model::kPhold};

const char* to_string(Model model);
std::optional<Model> find_model(std::string_view name);
/// Ticks that pass on average between an event and the one that it makes.
std::uint64_t mean_delay(Model model);
/// Ticks before the first measured run: half a million events, or two a pending event.
std::uint64_t warm_up_ticks(Model model, std::uint32_t pending);
/// Ticks of an epoch of a measured run: about 62,500 events.
std::uint64_t slice_ticks(Model model, std::uint32_t pending);

/// What both engines start from.
struct Workload {
  Model model;
  std::vector<std::uint32_t> target;  // per cell
  std::vector<std::uint32_t> delay;
  std::vector<Event> events;
};

Workload make_workload(Model model, std::uint32_t pending);
/// The default capacity, or as much more as `pending` events need.
Capacity capacity_for(std::uint32_t pending);
/// Into `torus`, which is reset to the id 0. `remote_percent`: of PHOLD's events, to other tori.
void fill(Torus& torus, const Workload& workload, std::uint32_t remote_percent = 0);

}  // namespace rse
