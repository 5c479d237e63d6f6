// The few facts the kernel takes from ACPI: where the interrupt controllers are, how ISA interrupts reach them, which
// processors there are. ACPI Specification 6.4: 5.2.5 (RSDP), 5.2.7 (RSDT), 5.2.8 (XSDT), 5.2.12 (MADT).
// Size: fixed; what does not fit is left out. Threads, memory: none. Errors: a sentence; nothing is read outside `physical`.
#pragma once

#include <array>
#include <cstdint>

#include "guest_kernel/boot/boot_info.h"

namespace rse::kernel {

inline constexpr std::size_t kProcessorsMax = 64;
inline constexpr std::size_t kIsaInterruptCount = 16;

struct IsaRoute {
  std::uint32_t global_interrupt = 0;
  bool active_low = false;
  bool level_triggered = false;
};

struct AcpiFacts {
  std::uint64_t local_apic = 0;        // physical; 0: no MADT
  std::uint64_t io_apic = 0;           // physical, of the one that has global interrupt `io_apic_first`
  std::uint32_t io_apic_first = 0;
  std::array<IsaRoute, kIsaInterruptCount> isa{};
  std::array<std::uint8_t, kProcessorsMax> processor_apic_ids{};
  std::size_t processor_count = 0;     // enabled ones
};

/// Reads the tables below the RSDP at `root`. nullptr, or what is wrong; `out` then has the usual PC's wiring.
const char* read_acpi(const PhysicalView& physical, std::uint64_t root, AcpiFacts& out);

}  // namespace rse::kernel
