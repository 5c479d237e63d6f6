#include "guest_kernel/arch/x86_64/local_apic.h"

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/memory/kernel_memory.h"
#include "guest_kernel/runtime/panic.h"

namespace rse::kernel {
namespace {

constexpr std::uint32_t kMsrApicBase = 0x1b;
constexpr std::uint64_t kApicEnable = 1u << 11;

enum Register : std::uint32_t {
  kId = 0x20,
  kTaskPriority = 0x80,
  kEndOfInterrupt = 0xb0,
  kSpurious = 0xf0,
  kTimer = 0x320,
  kTimerStart = 0x380,
  kTimerLeft = 0x390,
  kTimerDivide = 0x3e0,
};
constexpr std::uint32_t kSoftwareEnable = 1u << 8;
constexpr std::uint32_t kDivideBy16 = 3;

constexpr std::uint32_t kIoRedirection = 0x10;  // two registers a line
constexpr std::uint32_t kIoActiveLow = 1u << 13;
constexpr std::uint32_t kIoLevel = 1u << 15;

volatile std::uint32_t* local_apic = nullptr;
volatile std::uint32_t* io_apic = nullptr;
AcpiFacts wiring;

std::uint32_t read(Register which) { return local_apic[which / 4]; }
void write(Register which, std::uint32_t value) { local_apic[which / 4] = value; }

void write_io(std::uint32_t which, std::uint32_t value) {
  io_apic[0] = which;
  io_apic[4] = value;
}

volatile std::uint32_t* map_registers(std::uint64_t physical) {
  std::byte* const mapped = map_device({physical, physical + kPageBytes}, PageCaching::kUncached);
  if (mapped == nullptr) panic("memory", "none to map the interrupt controllers; give the machine more");
  return reinterpret_cast<volatile std::uint32_t*>(mapped);
}

}  // namespace

void start_interrupt_controllers(const AcpiFacts& facts) {
  wiring = facts;
  local_apic = map_registers(facts.local_apic);
  io_apic = map_registers(facts.io_apic);
  write_msr(kMsrApicBase, read_msr(kMsrApicBase) | kApicEnable);
  write(kTaskPriority, 0);
  write(kSpurious, kSoftwareEnable | kSpuriousVector);
  write(kTimerDivide, kDivideBy16);
  write(kTimer, kTimerVector);  // one shot, not masked
}

void end_of_interrupt() { write(kEndOfInterrupt, 0); }
std::uint8_t local_apic_id() { return static_cast<std::uint8_t>(read(kId) >> 24); }
void start_apic_timer(std::uint32_t ticks) { write(kTimerStart, ticks); }
std::uint32_t apic_timer_left() { return read(kTimerLeft); }

void route_isa_interrupt(unsigned line, unsigned vector) {
  const InterruptsOff off;
  const IsaRoute& route = wiring.isa[line];
  const std::uint32_t place = kIoRedirection + 2 * (route.global_interrupt - wiring.io_apic_first);
  write_io(place + 1, std::uint32_t{local_apic_id()} << 24);
  write_io(place, vector | (route.active_low ? kIoActiveLow : 0) | (route.level_triggered ? kIoLevel : 0));
}

MessageInterrupt message_interrupt(unsigned vector) {
  return {0xfee00000 | std::uint64_t{local_apic_id()} << 12, vector};
}

}  // namespace rse::kernel
