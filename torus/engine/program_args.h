// Reads a program's arguments: "key=value key=value", values unsigned decimal, separated by single
// or more spaces. Threads, memory: none. Errors: the first bad word latches failed(). Invariant:
// terminates for any text.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rse {

class ProgramArgs {
 public:
  struct Argument {
    std::string_view key;
    std::optional<std::uint64_t> value;  // nullopt: a key without "="
  };
  explicit ProgramArgs(std::string_view text) : rest_(text) {}

  /// The next argument; nullopt at the end, or after a word that is not an argument.
  std::optional<Argument> next();
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace rse
