// What a person gets to read when the processor refuses to go on.
#include <string_view>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/memory/kernel_memory.h"
#include "guest_kernel/runtime/panic.h"
#include "guest_kernel/runtime/print.h"

namespace rse::kernel {
namespace {

constexpr unsigned kPageFault = 14;

constexpr std::array<std::string_view, kExceptionVectors> kNames = {
    "divide error", "debug", "non-maskable interrupt", "breakpoint", "overflow", "bound exceeded", "invalid instruction",
    "no coprocessor", "double fault", "coprocessor segment overrun", "invalid task state", "segment not present",
    "stack segment fault", "general protection", "page fault", "reserved", "floating-point error", "alignment check",
    "machine check", "SIMD floating-point error", "virtualization", "control protection", "reserved", "reserved", "reserved",
    "reserved", "reserved", "reserved", "hypervisor injection", "VMM communication", "security", "reserved"};

bool inside_report = false;

void print_page_fault(std::uint64_t address, std::uint64_t error) {
  print("page fault: ", (error & 16) != 0 ? "executing" : (error & 2) != 0 ? "writing" : "reading", " ", Hex{address},
        (error & 1) != 0 ? ", which has other rights" : ", where nothing is mapped");
  if (address < kPageBytes) print(" (a null pointer)");
  if (address >= kStackWindow && address < kKernelBase) print(" (beyond the end of a stack)");
  print_line("");
}

void print_registers(const Frame& frame) {
  print_line("rip ", Hex{frame.rip}, "  rsp ", Hex{frame.rsp}, "  flags ", Hex{frame.flags, 8}, "  error ", Hex{frame.error, 8});
  print_line("rax ", Hex{frame.rax}, "  rbx ", Hex{frame.rbx}, "  rcx ", Hex{frame.rcx}, "  rdx ", Hex{frame.rdx});
  print_line("rsi ", Hex{frame.rsi}, "  rdi ", Hex{frame.rdi}, "  rbp ", Hex{frame.rbp}, "  cr2 ", Hex{read_cr2()});
  print_line("r8  ", Hex{frame.r8}, "  r9  ", Hex{frame.r9}, "  r10 ", Hex{frame.r10}, "  r11 ", Hex{frame.r11});
  print_line("r12 ", Hex{frame.r12}, "  r13 ", Hex{frame.r13}, "  r14 ", Hex{frame.r14}, "  r15 ", Hex{frame.r15});
}

}  // namespace

void report_exception(const Frame& frame) {
  disable_interrupts();
  if (inside_report) {
    print_line("another exception while reporting: ", kNames[frame.vector], " at ", Hex{frame.rip});
    end_run(ExitCode::kPanic);
  }
  inside_report = true;
  print("\nPANIC: exception ", frame.vector, ", ");
  if (frame.vector == kPageFault) {
    print_page_fault(read_cr2(), frame.error);
  } else {
    print_line(kNames[frame.vector]);
  }
  print_registers(frame);
  print_stack(frame.rip, frame.rbp);
  end_run(ExitCode::kPanic);
}

}  // namespace rse::kernel
