// The processor's own interrupt controller (Intel SDM volume 3, 10) and the IO-APIC that ISA interrupts come through
// (Intel 82093AA datasheet, 3.2).
// Size: two pages of registers. Threads: any; the owner's processor. Memory: static. Errors: no memory for the pages is a panic.
#pragma once

#include <cstdint>

#include "guest_kernel/boot/acpi.h"

namespace rse::kernel {

void start_interrupt_controllers(const AcpiFacts& facts);
void end_of_interrupt();
std::uint8_t local_apic_id();

/// One interrupt after `ticks` of the local APIC's timer, on kTimerVector; 0 stops it.
void start_apic_timer(std::uint32_t ticks);
std::uint32_t apic_timer_left();

/// Lets ISA interrupt `line` (0..15) arrive at `vector`.
void route_isa_interrupt(unsigned line, unsigned vector);

/// What a device writes to raise `vector` here (MSI and MSI-X; Intel SDM volume 3, 10.11).
struct MessageInterrupt {
  std::uint64_t address;
  std::uint32_t data;
};
MessageInterrupt message_interrupt(unsigned vector);

inline constexpr unsigned kTimerVector = 254;

}  // namespace rse::kernel
