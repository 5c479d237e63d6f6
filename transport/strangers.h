// What is said again and again, such as of strangers whose handshakes come to nothing: the first time at once, then one line in
// Repeats::kEvery, with a count. Size: at most kRememberedMax are remembered. Threads: one at a time. Errors: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "torus/base/strong.h"

namespace rse {

/// What may come again and again: each at once, then once in kEvery.
class Repeats {
 public:
  static constexpr std::size_t kRememberedMax = 64;
  static constexpr Duration kEvery = milliseconds(10'000);
  /// Whether `what` is to be said now: how often it was kept back since the last time; nothing: it is kept back.
  std::optional<std::uint64_t> say(const std::string& what, Instant now);

 private:
  struct Said {
    Instant at;
    std::uint64_t kept_back = 0;
  };
  std::map<std::string, Said> said_;
};

class StrangerLog {
 public:
  /// The line to report now, if any.
  std::optional<std::string> line(const std::string& host, const std::string& why, Instant now);

 private:
  Repeats hosts_;
};

}  // namespace rse
