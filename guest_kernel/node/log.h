// What a node of the kernel says while it runs: print_line()'s lines with the time before them, and what repeats said once.
// Threads: the kernel's first. Memory: up to Repeats::kRememberedMax texts. Errors: none.
#pragma once

#include <string>
#include <string_view>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/runtime/print.h"
#include "transport/strangers.h"

namespace rse::kernel {

/// "[12.345] subject: what happened key=value ...": seconds since the clock was started, soon after the machine.
template <class... Parts>
void log_line(const Parts&... parts) {
  print_line('[', Seconds{now().raw / 1'000'000}, "] ", parts...);
}

/// Lines that may come again and again: once in a while only, with how often they came in between.
class FoldedLines {
 public:
  void say(const std::string& line) {
    const auto repeated = repeats_.say(line, now());
    if (!repeated) return;
    if (*repeated == 0) return log_line(std::string_view(line));
    log_line(std::string_view(line), " repeated=", *repeated);
  }

 private:
  Repeats repeats_;
};

}  // namespace rse::kernel
