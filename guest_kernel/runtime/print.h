// What the kernel says to people: parts put one after the other and handed to every console.
// Size: a line at a time, cut at kLineBytesMax. Threads: any, also interrupt handlers; lines of an interrupt may stand inside
// another's. Memory: the stack. Errors: none; with no console the text is lost.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rse::kernel {

inline constexpr std::size_t kLineBytesMax = 1024;
inline constexpr std::size_t kConsolesMax = 4;

struct Hex {
  std::uint64_t value = 0;
  int digits = 16;
};

/// Printed as "12.345".
struct Seconds {
  std::uint64_t milliseconds = 0;
};

/// A bounded piece of text; what does not fit is cut off.
class Text {
 public:
  void add(std::string_view text);
  void add(const char* text) { add(std::string_view(text)); }
  void add(char letter) { add(std::string_view(&letter, 1)); }
  void add(Hex hex);
  void add(Seconds time);
  void add_unsigned(std::uint64_t value);
  template <std::integral T>
  void add(T value) {
    if constexpr (std::signed_integral<T>) {
      if (value < 0) add('-');
      add_unsigned(value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value));
    } else {
      add_unsigned(value);
    }
  }
  std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, kLineBytesMax> bytes_;
  std::size_t size_ = 0;
};

/// Adds a place where text goes; `write` may be called from interrupt handlers.
using ConsoleWrite = void (*)(std::string_view text);
void add_console(ConsoleWrite write);
void write_to_consoles(std::string_view text);

template <class... Parts>
void print(const Parts&... parts) {
  Text text;
  (text.add(parts), ...);
  write_to_consoles(text.view());
}
/// One line: "subject: what happened key=value ...".
template <class... Parts>
void print_line(const Parts&... parts) {
  print(parts..., '\n');
}

}  // namespace rse::kernel
