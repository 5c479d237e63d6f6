// What one event makes a phold process do, for the program and for the loop that runs it without virtual calls.
// Threads, memory: none. Errors: a state from a forged checkpoint sends nothing. Invariant: draws from the process's random
// source in this order: delay; whether to another torus; the cell.
#pragma once

#include <cstdint>
#include <optional>

#include "torus/base/strong.h"

namespace rse {

struct PholdState {
  std::uint32_t delay_max;
  std::uint32_t remote_percent;
  std::uint32_t low;   // the first cell index that events go to
  std::uint32_t high;  // one past the last
};

struct PholdSend {
  CellId to;
  std::uint32_t delay;
};

/// `below(bound)` draws the next number from the random source of a process of the torus `own`.
template <class Below>
[[gnu::always_inline]] inline std::optional<PholdSend> phold_send(const PholdState& state, std::uint32_t own,
                                                                  Below below) {
  const std::uint32_t delay = 1 + below(state.delay_max);
  const bool remote = below(100) < state.remote_percent;
  if (state.low >= state.high || state.high > kCellCount) return std::nullopt;
  const std::uint32_t size = state.high - state.low;
  if (!remote) return PholdSend{{own * kCellCount + state.low + below(size)}, delay};
  // Counts through the other tori's cells, ascending, without its own.
  const std::uint32_t drawn = below(2 * size);
  const std::uint32_t other = drawn < size ? 0 : 1;
  const std::uint32_t torus = other < own ? other : other + 1;
  return PholdSend{{torus * kCellCount + state.low + drawn - other * size}, delay};
}

}  // namespace rse
