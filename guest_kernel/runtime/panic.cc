#include "guest_kernel/runtime/panic.h"

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/memory/layout.h"
#include "guest_kernel/runtime/print.h"
#include "guest_kernel/symbols/symbol_table.h"
#include "torus/base/assert.h"

namespace rse::kernel {
namespace {

constexpr std::uint16_t kDebugExitPort = 0xf4;
constexpr int kStackFramesMax = 32;

IsReadable is_readable = [](std::uint64_t address) { return address >= kKernelBase; };

void print_caller(std::uint64_t address) {
  const Symbol symbol = find_symbol(address);
  print("  ", Hex{address});
  if (symbol.name.empty()) {
    print_line(" ?");
  } else {
    print_line(" ", symbol.name, " + ", address - symbol.address);
  }
}

}  // namespace

void end_run(ExitCode code) {
  disable_interrupts();
  out8(kDebugExitPort, static_cast<std::uint8_t>(code));
  for (;;) halt();
}

void set_stack_check(IsReadable check) { is_readable = check; }

void print_stack(std::uint64_t first, std::uint64_t frame_pointer) {
  print_line("stack:");
  print_caller(first);
  for (int i = 0; i < kStackFramesMax; ++i) {
    if (frame_pointer == 0 || frame_pointer % 8 != 0 || !is_readable(frame_pointer)) return;
    const auto* const frame = reinterpret_cast<const std::uint64_t*>(frame_pointer);
    if (frame[1] == 0) return;
    print_caller(frame[1] - 1);  // inside the call, not after it
    if (frame[0] <= frame_pointer) return;
    frame_pointer = frame[0];
  }
}

void panic(std::string_view thing, std::string_view why) {
  disable_interrupts();
  print_line("\nPANIC: ", thing, ": ", why);
  print_stack(reinterpret_cast<std::uint64_t>(__builtin_return_address(0)) - 1,
              *static_cast<std::uint64_t*>(__builtin_frame_address(0)));
  end_run(ExitCode::kPanic);
}

}  // namespace rse::kernel

namespace rse {

void assertion_failed(const char* file, int line, const char* condition, const char* why) {
  kernel::print_line("\n", file, ":", line, ": assertion failed: ", condition);
  kernel::panic("assertion failed", why);
}

}  // namespace rse
