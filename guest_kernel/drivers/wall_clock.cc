#include "guest_kernel/drivers/wall_clock.h"

#include <time.h>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"

namespace rse::kernel {
namespace {

constexpr std::uint16_t kIndexPort = 0x70, kDataPort = 0x71;
constexpr std::uint8_t kStatusA = 0x0a, kStatusB = 0x0b, kUpdating = 0x80, kBinary = 0x04, k24Hours = 0x02;
constexpr int kReadsMax = 1000;

std::uint8_t read_register(std::uint8_t index) {
  out8(kIndexPort, index);
  return in8(kDataPort);
}

ClockRegisters read_all() {
  const std::uint8_t status = read_register(kStatusB);
  return {.second = read_register(0),
          .minute = read_register(2),
          .hour = read_register(4),
          .day = read_register(7),
          .month = read_register(8),
          .year = read_register(9),
          .binary = (status & kBinary) != 0,
          .hours_24 = (status & k24Hours) != 0};
}

/// Twice the same, and not while it counts: else a carry may be half done.
std::uint64_t read_clock() {
  for (int read = 0; read < kReadsMax; ++read) {
    if ((read_register(kStatusA) & kUpdating) != 0) continue;
    const ClockRegisters once = read_all();
    if (once == read_all()) return seconds_of(once);
  }
  return 0;
}

}  // namespace

std::uint64_t wall_clock_seconds() {
  static const std::uint64_t start = read_clock();
  static const Instant read_at = now();
  return start + elapsed(read_at, now()).raw / 1'000'000'000;
}

}  // namespace rse::kernel

/// The C library's, for code that is shared with hosts.
extern "C" time_t time(time_t* out) {
  const auto seconds = static_cast<time_t>(rse::kernel::wall_clock_seconds());
  if (out != nullptr) *out = seconds;
  return seconds;
}
