#include "guest_kernel/node/log.h"

#include <utility>

namespace rse::kernel {
namespace {

constexpr Duration kFoldedFor = milliseconds(10'000);  // as node/rse_log.cc has it
constexpr std::size_t kFoldedLinesMax = 64;

}  // namespace

void FoldedLines::say(const std::string& line) {
  if (repeats_.size() >= kFoldedLinesMax && !repeats_.contains(line)) repeats_.clear();
  auto [at, fresh] = repeats_.try_emplace(line, Repeat{now(), 0});
  if (!fresh && elapsed(at->second.written, now()) < kFoldedFor) {
    ++at->second.suppressed;
    return;
  }
  at->second.written = now();
  const std::uint64_t repeated = std::exchange(at->second.suppressed, 0);
  if (repeated == 0) return log_line(std::string_view(line));
  log_line(std::string_view(line), " repeated=", repeated);
}

}  // namespace rse::kernel
