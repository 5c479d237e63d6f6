#include "guest_kernel/drivers/keyboard.h"

#include <initializer_list>
#include <string_view>

#include "guest_kernel/test/test.h"

using namespace rse::kernel;

namespace {

/// Whether these codes type exactly this text.
bool types(std::initializer_list<std::uint8_t> codes, std::string_view text) {
  ScanCodes keyboard;
  for (const std::uint8_t code : codes) {
    const auto letter = keyboard.take(code);
    if (!letter) continue;
    if (text.empty() || text[0] != *letter) return false;
    text.remove_prefix(1);
  }
  return text.empty();
}

}  // namespace

TEST_CASE("keyboard: keys make letters when pressed, with shift, caps lock and control") {
  CHECK(types({0x1e, 0x9e, 0x30, 0xb0, 0x39, 0xb9, 0x1c, 0x9c}, "ab \n"));
  CHECK(types({0x2a, 0x1e, 0x9e, 0x02, 0x82, 0xaa, 0x1e, 0x02}, "A!a1"));
  CHECK(types({0x3a, 0xba, 0x1e, 0x02, 0x2a, 0x1e, 0x02, 0xaa, 0x3a, 0x1e}, "A1a!a"));
  CHECK(types({0x1d, 0x2e, 0x9d, 0x2e}, "\x03" "c"));
  CHECK(types({0x36, 0x35, 0xb6, 0x35, 0x2b, 0x29, 0x0e, 0x0f, 0x01}, "?/\\`\b\t\x1b"));
}

TEST_CASE("keyboard: every sequence of two codes is harmless; keys without a letter make none") {
  CHECK(types({0xe0, 0x48, 0xe0, 0xc8, 0x3b, 0xbb, 0x38, 0xb8, 0x58}, ""));
  CHECK(types({0xe0, 0x1c, 0xe0, 0x9c}, "\n"));
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      ScanCodes keyboard;
      static_cast<void>(keyboard.take(static_cast<std::uint8_t>(first)));
      const auto letter = keyboard.take(static_cast<std::uint8_t>(second));
      if (letter && (second & 0x80) != 0) REQUIRE(false);
    }
  }
  CHECK(true);
}
