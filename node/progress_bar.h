// How far work is, as a bar on a terminal and as a plain line now and then elsewhere, on stderr. It counts what was really done;
// whole is only what its caller says is whole.
// Threads: one. Memory: some bytes. Errors: none.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace rse {

struct ProgressStyle {
  bool terminal = false;
  bool color = false;
  int columns = 80;
};

/// "simulating  ########--------  500 of 1000 epochs, 250/s, 2 s left", at most `columns` wide.
std::string progress_line(const std::string& what, const std::string& unit, std::uint64_t done, std::uint64_t total, double seconds,
                          const ProgressStyle& style);

class ProgressBar {
 public:
  /// "simulating", "epochs". Of stderr, with NO_COLOR and COLUMNS.
  ProgressBar(std::string what, std::string unit);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Cheap: draws ten times a second at most, elsewhere a line each five seconds.
  void show(std::uint64_t done, std::uint64_t total);

 private:
  std::string what_;
  std::string unit_;
  ProgressStyle style_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point drawn_ = begun_;
  bool bar_shown_ = false;
};

}  // namespace rse
