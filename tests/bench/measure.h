// Measuring for the engine's benchmark and its guards: five runs of the same work, the instructions of a thread where they can
// be counted, resident memory.
// Threads: none. Errors: a counter that the machine does not have gives nullopt; memory that cannot be read is 0.
#pragma once

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace rse {

inline constexpr int kRuns = 5;

/// Events a second of each run.
struct Rates {
  std::array<double, kRuns> per_second{};
  double median() const {
    auto sorted = per_second;
    std::sort(sorted.begin(), sorted.end());
    return sorted[kRuns / 2];
  }
  /// From the slowest run to the fastest.
  double spread() const {
    const auto [low, high] = std::minmax_element(per_second.begin(), per_second.end());
    return *high - *low;
  }
};

/// Instructions that this thread has executed outside the kernel. Many virtual machines have no such counter.
class InstructionCounter {
 public:
  InstructionCounter() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.size = sizeof(attributes);
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    file_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }
  ~InstructionCounter() {
    if (file_ >= 0) close(file_);
  }
  InstructionCounter(const InstructionCounter&) = delete;
  InstructionCounter& operator=(const InstructionCounter&) = delete;

  std::optional<std::uint64_t> read_count() const {
    std::uint64_t count = 0;
    if (file_ < 0 || read(file_, &count, sizeof(count)) != sizeof(count)) return std::nullopt;
    return count;
  }

 private:
  int file_ = -1;
};

/// Of this process: exact, while statm may lag by some hundred kilobytes; without the pages of the program itself.
inline std::size_t resident_bytes() {
  std::size_t kilobytes = 0;
  std::FILE* const file = std::fopen("/proc/self/smaps_rollup", "r");
  char line[256];
  while (file != nullptr && kilobytes == 0 && std::fgets(line, sizeof(line), file) != nullptr) {
    if (std::strncmp(line, "Anonymous:", 10) == 0) kilobytes = std::strtoull(line + 10, nullptr, 10);
  }
  if (file != nullptr) std::fclose(file);
  return kilobytes * 1024;
}

}  // namespace rse
