// Seconds since 1970 by the machine's clock (MC146818 and its heirs, ports 70 and 71), which is taken to run in UTC. Read once; from
// there on the kernel's own clock counts. For tickets, which expire; nothing a torus does may depend on it.
// Size: static. Threads: one. Memory: none. Errors: a clock that does not make sense is 0, long ago.
#pragma once

#include <cstdint>

namespace rse::kernel {

std::uint64_t wall_clock_seconds();

/// What is in the clock's registers; `binary`: else each byte is two decimal digits.
struct ClockRegisters {
  std::uint8_t second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0;
  bool binary = false, hours_24 = true;
  friend bool operator==(const ClockRegisters&, const ClockRegisters&) = default;
};
std::uint64_t seconds_of(const ClockRegisters& registers);

}  // namespace rse::kernel
