// The ids, ticks and counts that RSE is about, as distinct types: mixing two of them does not compile.
// Size: that of the integer inside. Threads, memory, errors: none.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace rse {

template <class Tag, class Rep>
struct Strong {
  using rep = Rep;
  Rep raw{};
  constexpr auto operator<=>(const Strong&) const = default;
};

using TorusId = Strong<struct TorusIdTag, std::uint8_t>;     // 0..2 = A, B, C
using CellId = Strong<struct CellIdTag, std::uint32_t>;      // global: torus * 32768 + x*1024 + y*32 + z
using Pid = Strong<struct PidTag, std::uint64_t>;            // torus in the top 2 bits of 64, then a count
using Epoch = Strong<struct EpochTag, std::uint64_t>;        // braid interval, from 0
using ViewNumber = Strong<struct ViewTag, std::uint64_t>;    // +1 at each change of membership or hosting
using Tick = Strong<struct TickTag, std::uint64_t>;          // logical time; never wall clock
using TickSpan = Strong<struct TickSpanTag, std::uint64_t>;  // Tick + TickSpan = Tick
using RunId = Strong<struct RunTag, std::uint64_t>;          // +1 at each loaded scenario; 0: none yet
using NodeId = Strong<struct NodeTag, std::uint64_t>;        // random, never 0, kept in the data directory
using ClusterId = Strong<struct ClusterTag, std::uint64_t>;  // random, made when a cluster is founded
using ClientId = Strong<struct ClientTag, std::uint64_t>;    // random, chosen by the client
using Instant = Strong<struct InstantTag, std::uint64_t>;    // monotonic wall clock of one node, nanoseconds
using Duration = Strong<struct DurationTag, std::uint64_t>;  // Instant + Duration = Instant

constexpr Tick operator+(Tick start, TickSpan span) { return {start.raw + span.raw}; }
constexpr Epoch operator+(Epoch epoch, std::uint64_t count) { return {epoch.raw + count}; }
constexpr Instant operator+(Instant start, Duration span) { return {start.raw + span.raw}; }
/// Time from `earlier` to `later`; zero when they are out of order.
constexpr Duration elapsed(Instant earlier, Instant later) {
  return {later.raw > earlier.raw ? later.raw - earlier.raw : 0};
}
constexpr Duration milliseconds(std::uint64_t count) { return {count * 1'000'000}; }

inline constexpr std::size_t kTorusCount = 3;
inline constexpr std::uint32_t kSide = 32;
inline constexpr std::uint32_t kCellCount = kSide * kSide * kSide;  // in one torus
inline constexpr std::uint32_t kFaceCellCount = kSide * kSide;      // on one face
inline constexpr std::uint64_t kLookaheadEpochs = 2;                // sent in j, delivered in j + 2

constexpr TorusId torus_of(CellId cell) {
  return {static_cast<std::uint8_t>(cell.raw / kCellCount)};
}
constexpr std::uint32_t index_of(CellId cell) { return cell.raw % kCellCount; }
/// Coordinates are taken modulo 32, negative ones too.
constexpr CellId cell_at(TorusId torus, std::int32_t x, std::int32_t y, std::int32_t z) {
  const auto wrap = [](std::int32_t v) { return static_cast<std::uint32_t>(v) % kSide; };
  return {torus.raw * kCellCount + wrap(x) * 1024 + wrap(y) * 32 + wrap(z)};
}
constexpr TorusId next_torus(TorusId torus) {
  return {static_cast<std::uint8_t>((torus.raw + 1) % kTorusCount)};
}
constexpr TorusId previous_torus(TorusId torus) {
  return {static_cast<std::uint8_t>((torus.raw + 2) % kTorusCount)};
}
constexpr char letter_of(TorusId torus) { return static_cast<char>('A' + torus.raw); }

}  // namespace rse
