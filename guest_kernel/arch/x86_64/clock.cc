#include "guest_kernel/arch/x86_64/clock.h"

#include <algorithm>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/arch/x86_64/local_apic.h"
#include "guest_kernel/runtime/panic.h"

namespace rse::kernel {
namespace {

// Intel 8254, channel 2, which has a gate (port 0x61 bit 0) and an output that can be read (bit 5) and needs no interrupt.
constexpr std::uint64_t kPitTicksPerSecond = 1193182;
constexpr std::uint16_t kPitTicks = 1193;  // a sample: one millisecond
constexpr int kSamples = 5;
constexpr std::uint64_t kTscTicksMax = std::uint64_t{1} << 32;  // a PIT that takes longer is none

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr int kShift = 24;  // nanoseconds = ticks * scale >> kShift

std::uint64_t tsc_start = 0;
std::uint64_t tsc_per_second = 0;
std::uint64_t nanoseconds_scale = 0;
std::uint64_t apic_per_second = 0;

struct Sample {
  std::uint64_t tsc;
  std::uint32_t apic;
};

Sample measure() {
  out8(0x61, static_cast<std::uint8_t>((in8(0x61) & ~3) | 1));  // gate open, speaker off
  out8(0x43, 0xb0);                                             // channel 2, low then high byte, mode 0
  out8(0x42, kPitTicks & 0xff);
  start_apic_timer(~std::uint32_t{0});
  const std::uint64_t begin = read_tsc();
  out8(0x42, kPitTicks >> 8);  // counting begins
  while ((in8(0x61) & 0x20) == 0) {
    if (read_tsc() - begin > kTscTicksMax) panic("clock", "the PIT does not count; this machine needs another reference clock");
  }
  return {read_tsc() - begin, ~std::uint32_t{0} - apic_timer_left()};
}

/// Firmware leaves channel 0 running for a clock. Nobody listens here, but an emulator wakes 36 times a second for it.
void stop_firmware_clock() {
  out8(0x43, 0x30);  // channel 0, low then high byte, mode 0: once
  out8(0x40, 1);
  out8(0x40, 0);
}

}  // namespace

void start_clock() {
  stop_firmware_clock();
  Sample least{~std::uint64_t{0}, ~std::uint32_t{0}};
  set_interrupt(kTimerVector, [](Frame&, void*) {}, nullptr);
  for (int i = 0; i < kSamples; ++i) {
    const Sample sample = measure();
    least = {std::min(least.tsc, sample.tsc), std::min(least.apic, sample.apic)};
  }
  start_apic_timer(0);
  tsc_per_second = least.tsc * kPitTicksPerSecond / kPitTicks;
  apic_per_second = least.apic * kPitTicksPerSecond / kPitTicks;
  nanoseconds_scale = (kSecond << kShift) / tsc_per_second;
  tsc_start = read_tsc();
}

Instant now() {
  const auto ticks = static_cast<unsigned __int128>(read_tsc() - tsc_start);
  return {static_cast<std::uint64_t>(ticks * nanoseconds_scale >> kShift)};
}

void set_alarm(Instant when) {
  const std::uint64_t wait = std::min(elapsed(now(), when).raw, kSecond);  // a second at most, then the caller looks again
  start_apic_timer(static_cast<std::uint32_t>(std::max<std::uint64_t>(wait * (apic_per_second / 1000) / (kSecond / 1000), 1)));
}

void on_alarm(AlarmHandler handler, void* context) { set_interrupt(kTimerVector, handler, context); }

}  // namespace rse::kernel
