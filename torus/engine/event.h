// An event, the only way anything happens inside a torus, and its canonical order (DESIGN 2.1).
// Size: 24 bytes outside the engine; the pending set may pack it tighter. Threads, memory, errors: none.
#pragma once

#include <cstdint>
#include <tuple>
#include <type_traits>

#include "torus/base/strong.h"

namespace rse {

struct Event {
  Tick time;
  CellId dst;
  CellId src;
  std::int32_t payload = 0;
  friend bool operator==(const Event&, const Event&) = default;
  /// Corrective events come before all others of their tick; they are kept apart and never compared with them.
  friend bool operator<(const Event& a, const Event& b) {
    return std::tie(a.time, a.dst, a.src, a.payload) < std::tie(b.time, b.dst, b.src, b.payload);
  }
};

/// low64(a*b) XOR high64(a*b) of the 128-bit product.
constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  if (!std::is_constant_evaluated()) {  // where registers are short, GCC 12 sends a 128-bit product through memory
    std::uint64_t low;
    std::uint64_t high;
    asm("mulq %3" : "=a"(low), "=d"(high) : "%0"(a), "rm"(b) : "cc");
    return low ^ high;
  }
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline constexpr std::uint64_t kCorrectiveMark = 0x8EBC6AF09C88C6E3;

/// The two halves of a digest term: what the events of a tick, and what those from one cell to another have in common.
constexpr std::uint64_t digest_time_key(Tick time) { return time.raw ^ 0xA0761D6478BD642F; }
constexpr std::uint64_t digest_place_key(CellId dst, CellId src) {
  return ((std::uint64_t{dst.raw} << 32) | src.raw) ^ 0xE7037ED1A0B428DB;
}
constexpr std::uint64_t digest_term(std::uint64_t time_key, std::uint32_t payload, std::uint64_t place_key) {
  return fold(time_key ^ (payload * 0x9E3779B97F4A7C15), place_key);
}

/// The contribution of one event to its tick's sum; a corrective event adds `^ kCorrectiveMark`.
constexpr std::uint64_t digest_term(const Event& event) {
  return digest_term(digest_time_key(event.time), static_cast<std::uint32_t>(event.payload),
                     digest_place_key(event.dst, event.src));
}

/// The digest H after a tick in which at least one event was processed; `sum` is that of their terms.
constexpr std::uint64_t digest_step(std::uint64_t h, Tick time, std::uint64_t sum) {
  return fold(h ^ sum, time.raw ^ 0x589965CC75374CC3);
}

}  // namespace rse
