#include "guest_kernel/runtime/print.h"

#include <algorithm>

namespace rse::kernel {
namespace {

std::array<ConsoleWrite, kConsolesMax> consoles{};
std::size_t console_count = 0;

}  // namespace

void Text::add(std::string_view text) {
  const std::size_t fits = std::min(text.size(), bytes_.size() - size_);
  std::copy_n(text.begin(), fits, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += fits;
}

void Text::add(Hex hex) {
  for (int shift = (hex.digits - 1) * 4; shift >= 0; shift -= 4) add("0123456789abcdef"[hex.value >> shift & 15]);
}

void Text::add(Seconds time) {
  add_unsigned(time.milliseconds / 1000);
  add('.');
  for (std::uint64_t place = 100; place != 0; place /= 10) add(static_cast<char>('0' + time.milliseconds / place % 10));
}

void Text::add_unsigned(std::uint64_t value) {
  std::array<char, 20> digits;
  std::size_t place = digits.size();
  do {
    digits[--place] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  add(std::string_view(digits.data() + place, digits.size() - place));
}

void add_console(ConsoleWrite write) {
  if (console_count < consoles.size()) consoles[console_count++] = write;
}

void write_to_consoles(std::string_view text) {
  for (std::size_t i = 0; i < console_count; ++i) consoles[i](text);
}

}  // namespace rse::kernel
