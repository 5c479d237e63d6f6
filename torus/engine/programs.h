// The built-in programs, one per file; program.h says what a program is, programs.cc lists them.
// State is read from and written to the process's bytes as a whole, because those bytes may come
// from a hostile checkpoint: no program trusts a value in its state to be one that it wrote.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include "torus/engine/program.h"

namespace rse {

/// The rule of a cell without processes, as a program: no arguments, no state.
const Program& relay_program();
/// Each event makes one event to a random cell. Arguments: max_delay (16), remote (0, percent),
/// events (1, at start).
const Program& phold_program();
inline constexpr std::uint32_t kPholdProgram = 1;  // its index in all_programs()
/// Sums the payloads of its events. No arguments.
const Program& counter_program();
/// Passes each wave (payload = its id) on along every edge, once. Argument, without effect:
/// delay_from_edges.
const Program& wave_program();
/// Each event makes it do one random thing: send, connect, spawn another, output, or end. No
/// arguments.
const Program& churn_program();

template <class State>
requires std::has_unique_object_representations_v<State> State
load_state(std::span<const std::byte> bytes) {
  State state;
  std::memcpy(&state, bytes.data(), sizeof(State));
  return state;
}
template <class State>
requires std::has_unique_object_representations_v<State>
void store_state(std::span<std::byte> bytes, const State& state) {
  std::memcpy(bytes.data(), &state, sizeof(State));
}

}  // namespace rse
