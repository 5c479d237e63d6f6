// Interrupts and exceptions. Every vector switches to a stack of its own kind (IST), so the processor never writes below the
// interrupted stack pointer: code that uses the red zone, as Debian's static libraries do, is safe under interrupts. Handlers
// run with interrupts off, so no stack is entered twice; the whole state, SSE included, is saved and can be exchanged.
// Size: 256 vectors. Threads: handlers on the interrupted processor. Memory: static. Errors: an exception nobody expects ends the run
// with a report. References: Intel SDM volume 3, 6.12-6.15.
#pragma once

#include <array>
#include <cstdint>

namespace rse::kernel {

/// What arch/x86_64/vectors.S saves, in its order.
struct alignas(16) Frame {
  std::array<std::uint8_t, 512> sse;  // fxsave
  std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
  std::uint64_t vector;
  std::uint64_t error;
  std::uint64_t rip, cs, flags, rsp, ss;
};
static_assert(sizeof(Frame) == 512 + 22 * 8);

inline constexpr unsigned kExceptionVectors = 32;
inline constexpr unsigned kFirstDeviceVector = 48;  // 32..47: the old controllers' spurious interrupts
inline constexpr unsigned kSpuriousVector = 255;
inline constexpr unsigned kSwitchVector = 253;  // raised by code: the handler exchanges the frame for another thread's

/// Called with interrupts off; what it leaves in `frame` is what goes on. The local APIC is told afterwards.
using InterruptHandler = void (*)(Frame& frame, void* context);

/// Own GDT, TSS with stacks for interrupts, IDT, %fs base for the libraries' stack protector.
void start_interrupts();

/// A free vector with this handler; 0: all are taken.
unsigned add_interrupt(InterruptHandler handler, void* context);
void set_interrupt(unsigned vector, InterruptHandler handler, void* context);

/// Prints registers and stack with names, and ends the run.
[[noreturn]] void report_exception(const Frame& frame);

}  // namespace rse::kernel
