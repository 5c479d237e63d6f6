// How the kernel ends: on purpose, or because it must not go on.
// Threads: any. Memory: none. Errors: these are the errors. Invariant: never returns and never hangs silently; a virtual
// machine with isa-debug-exit ends with a status that says which of these it was.
#pragma once

#include <cstdint>
#include <string_view>

namespace rse::kernel {

/// What QEMU's isa-debug-exit is given; QEMU's own exit status is 2 * code + 1.
enum class ExitCode : std::uint8_t { kDone = 0x10, kFailed = 0x11, kPanic = 0x12 };

/// Ends the run; on a machine without a debug exit the processor sleeps for good.
[[noreturn]] void end_run(ExitCode code);

/// Prints why, the stack with symbol names, and ends the run.
[[noreturn]] void panic(std::string_view thing, std::string_view why);

/// Prints the callers from `frame_pointer` up, `first` above them.
void print_stack(std::uint64_t first, std::uint64_t frame_pointer);

/// For print_stack(): whether 16 bytes can be read there. Replaced when the real page tables are in use.
using IsReadable = bool (*)(std::uint64_t address);
void set_stack_check(IsReadable is_readable);

}  // namespace rse::kernel
