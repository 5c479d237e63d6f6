// A guest started from a test: QEMU without KVM, so that it behaves the same everywhere, with a time limit.
// Threads: one. Memory: what the guest printed. Errors: a guest that does not end is killed and says so in `serial`.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace rse {

struct GuestRun {
  int exit_code = -1;  // kGuestDone and so on; anything else is QEMU's own
  std::string serial;  // what the guest printed, and QEMU's own complaints
};

// 2 * kernel::ExitCode + 1, QEMU's isa-debug-exit.
inline constexpr int kGuestDone = 0x21;
inline constexpr int kGuestFailed = 0x23;
inline constexpr int kGuestPanic = 0x25;

struct GuestOptions {
  std::string image;         // path below the workspace, e.g. "guest_kernel/kernel"
  std::string command_line;
  std::string module;        // a file given to the guest; empty: none
  std::string iso;           // boots from this CD image instead of `image`; the machine then has a screen
  std::string firmware;      // a file instead of QEMU's BIOS
  std::string serial_input;  // a file whose letters come in on the serial line
  int memory_megabytes = 128;
  std::chrono::seconds limit{60};
  std::vector<std::string> devices;  // further words for QEMU
};

/// QEMU's command.
std::vector<std::string> guest_words(const GuestOptions& options);
/// Runs it to its end. When the test fails afterwards, the log is in the test's output: capture `serial`.
GuestRun run_guest(const GuestOptions& options);

}  // namespace rse
