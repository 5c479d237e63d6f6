// What is said of strangers whose handshakes come to nothing: a host's first failure at once, then one line in kReportEvery,
// with a count. Size: at most kStrangersMax hosts are remembered. Threads: one at a time. Errors: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "torus/base/strong.h"

namespace rse {

class StrangerLog {
 public:
  static constexpr std::size_t kStrangersMax = 64;
  static constexpr Duration kReportEvery = milliseconds(10'000);
  /// The line to report now, if any.
  std::optional<std::string> line(const std::string& host, const std::string& why, Instant now);

 private:
  struct Stranger {
    Instant reported;
    std::uint64_t unreported = 0;
  };
  std::map<std::string, Stranger> strangers_;
};

}  // namespace rse
