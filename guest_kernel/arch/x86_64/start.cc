// From boot/entry.S to kernel_main(): console, constructors, what the loader said, memory, interrupts, clock.
#include <cstdint>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/arch/x86_64/local_apic.h"
#include "guest_kernel/boot/acpi.h"
#include "guest_kernel/boot/boot_info.h"
#include "guest_kernel/boot/options.h"
#include "guest_kernel/drivers/serial.h"
#include "guest_kernel/kernel_main.h"
#include "guest_kernel/memory/kernel_memory.h"
#include "guest_kernel/runtime/panic.h"
#include "guest_kernel/runtime/print.h"

// From kernel.ld.
extern "C" void (*const init_array_begin[])();
extern "C" void (*const init_array_end[])();

namespace rse::kernel {
namespace {

constexpr std::uint64_t kDoorPvh = 1;  // boot/entry.S
constexpr std::uint64_t kReachableAtBoot = std::uint64_t{4} << 30;
constexpr std::size_t kMainStackBytes = 256u << 10;

BootInfo boot_info;
AcpiFacts acpi_facts;
Options options;

void read_options() {
  OptionsFailure failure{};
  if (parse_options(boot_info.command_line(), options, failure)) return;
  print_line("rse kernel: ", failure.data());
  end_run(ExitCode::kFailed);
}

[[noreturn]] void run_on_main_stack() {
  start_interrupts();
  start_interrupt_controllers(acpi_facts);
  start_clock();
  enable_interrupts();
  end_run(kernel_main(boot_info, options));
}

}  // namespace

extern "C" [[noreturn]] void kernel_start(std::uint64_t door, std::uint64_t information) {
  start_serial();
  for (auto constructor = init_array_begin; constructor != init_array_end; ++constructor) (*constructor)();
  const PhysicalView physical({reinterpret_cast<const std::byte*>(kDirectMap), kReachableAtBoot});
  const char* const wrong = door == kDoorPvh ? read_pvh(physical, information, boot_info)
                                             : read_multiboot2(physical, information, boot_info);
  if (wrong != nullptr) panic("boot", wrong);
  read_options();
  const char* const without_acpi = read_acpi(physical, boot_info.acpi_root, acpi_facts);
  start_memory(boot_info, options.memory_bytes);
  print_line("rse kernel: started loader=", boot_info.loader, " memory_bytes=", memory_use().total_bytes,
             " modules=", boot_info.module_count, " left_out=", boot_info.ranges_left_out);
  if (without_acpi != nullptr) print_line("rse kernel: ", without_acpi, "; assuming a usual PC");
  const std::uint64_t stack = make_stack(kMainStackBytes);
  if (stack == 0) panic("memory", "none for the main stack; give the machine more");
  asm volatile("movq %0, %%rsp\n\txorl %%ebp, %%ebp\n\tcall *%1" : : "r"(stack), "r"(run_on_main_stack) : "memory");
  __builtin_unreachable();
}

}  // namespace rse::kernel
