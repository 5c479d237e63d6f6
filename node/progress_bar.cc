#include "node/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "node/terminal.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kDrawPeriod{100};
constexpr std::chrono::seconds kLinePeriod{5};
constexpr int kBarColumnsMax = 40;
constexpr int kBarColumnsMin = 8;

std::string time_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  if (seconds < 5400) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

std::string progress_line(const std::string& what, const std::string& unit, std::uint64_t done, std::uint64_t total, double seconds,
                          const ProgressStyle& style) {
  const double share = total == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  std::string tail = fmt::format("{} of {} {}", done, total, unit);
  if (seconds >= 1 && done > 0) {
    const double rate = static_cast<double>(done) / seconds;
    tail += fmt::format(", {:.0f}/s", rate);
    if (done < total) tail += fmt::format(", {} left", time_text(static_cast<double>(total - done) / rate));
  }
  const int room = style.columns - 1 - static_cast<int>(what.size() + tail.size()) - 4;  // the last column stays free: it would wrap
  if (!style.terminal) return what + ": " + tail;
  if (room < kBarColumnsMin) return (what + ": " + tail).substr(0, static_cast<std::size_t>(std::max(style.columns - 1, 0)));
  const int bar = std::min(room, kBarColumnsMax);
  const int full = static_cast<int>(share * bar);
  const std::string drawn = std::string(static_cast<std::size_t>(full), '#');
  const std::string rest(static_cast<std::size_t>(bar - full), '-');
  return fmt::format("{}  {}{}  {}", what, style.color ? "\x1b[32m" + drawn + "\x1b[0m" : drawn, rest, tail);
}

ProgressBar::ProgressBar(std::string what, std::string unit) : what_(std::move(what)), unit_(std::move(unit)) {
  style_.terminal = ::isatty(STDERR_FILENO) == 1;
  style_.color = wants_color(STDERR_FILENO);
  style_.columns = terminal_size(STDERR_FILENO, {.columns = style_.columns}).columns;
}

ProgressBar::~ProgressBar() {
  if (bar_shown_) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::show(std::uint64_t done, std::uint64_t total) {
  const auto now = std::chrono::steady_clock::now();
  if (now - drawn_ < (style_.terminal ? std::chrono::steady_clock::duration(kDrawPeriod) : kLinePeriod)) return;
  drawn_ = now;
  const std::string line = progress_line(what_, unit_, done, total, std::chrono::duration<double>(now - begun_).count(), style_);
  if (style_.terminal) fmt::print(stderr, "\r{}\x1b[K", line);
  else fmt::print(stderr, "{}\n", line);
  bar_shown_ |= style_.terminal;
}

}  // namespace rse
