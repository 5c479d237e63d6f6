#include <cstring>
#include <memory>
#include <vector>

#include "guest_kernel/drivers/framebuffer_console.h"
#include "guest_kernel/test/test.h"

using namespace rse::kernel;

namespace {

constexpr std::uint32_t kWidth = 8 * 5, kHeight = 4 * 3, kPitch = kWidth * 4 + 16;

Framebuffer screen_of(std::uint8_t pixel_bytes) { return {1, kPitch, kWidth, kHeight, pixel_bytes}; }

/// A font whose glyph for each letter is the letter's code, repeated in all four rows.
std::vector<std::byte> code_font() {
  std::vector<std::byte> psf = {std::byte{0x36}, std::byte{0x04}, std::byte{0}, std::byte{4}};
  for (int code = 0; code < 256; ++code) psf.insert(psf.end(), 4, static_cast<std::byte>(code));
  return psf;
}

struct Screen {
  explicit Screen(std::uint8_t pixel_bytes) : pixel_bytes(pixel_bytes) {
    REQUIRE(read_font(psf, font));
    REQUIRE(console.start(screen_of(pixel_bytes), pixels, font));
  }
  /// What stands there, read back from the pixels; 0: the rows differ.
  char letter(std::uint32_t column, std::uint32_t line) const {
    unsigned code = 0;
    for (std::uint32_t y = 0; y < 4; ++y) {
      unsigned row = 0;
      for (std::uint32_t x = 0; x < 8; ++x) {
        std::uint32_t color = 0;
        std::memcpy(&color, pixels.data() + (line * 4 + y) * kPitch + (column * 8 + x) * pixel_bytes, pixel_bytes);
        row = row << 1 | (color != 0);
      }
      if (y != 0 && row != code) return 0;
      code = row;
    }
    return static_cast<char>(code);
  }
  std::uint8_t pixel_bytes;
  std::vector<std::byte> psf = code_font();
  Font font;
  std::vector<std::byte> pixels = std::vector<std::byte>(kPitch * kHeight);
  FramebufferConsole console;
};

}  // namespace

TEST_CASE("framebuffer: letters stand where they belong, lines wrap and scroll, odd letters become question marks") {
  for (const std::uint8_t pixel_bytes : {3, 4}) {
    CAPTURE(pixel_bytes);
    const auto screen = std::make_unique<Screen>(pixel_bytes);
    CHECK(screen->console.columns() == 5);
    CHECK(screen->console.lines() == 3);
    screen->console.write("abcdefg\n\x01z");
    CHECK(screen->letter(0, 0) == 'a');
    CHECK(screen->letter(4, 0) == 'e');
    CHECK(screen->letter(1, 1) == 'g');
    CHECK(screen->letter(0, 2) == '?');
    CHECK(screen->letter(1, 2) == 'z');
    screen->console.write("\nend");
    CHECK(screen->letter(0, 0) == 'f');
    CHECK(screen->letter(1, 0) == 'g');
    CHECK((screen->letter(2, 0) == ' ' || screen->letter(2, 0) == 0));
    CHECK(screen->letter(0, 2) == 'e');
  }
}

TEST_CASE("framebuffer: a font or a screen that lies about its size is refused") {
  auto psf = code_font();
  Font font;
  REQUIRE(read_font(psf, font));
  FramebufferConsole* const console = new FramebufferConsole;
  std::vector<std::byte> pixels(kPitch * kHeight - 1);
  CHECK_FALSE(console->start(screen_of(4), pixels, font));
  pixels.resize(kPitch * kHeight);
  CHECK_FALSE(console->start({1, 8, kWidth, kHeight, 4}, pixels, font));
  for (const std::uint8_t pixel_bytes : {0, 1, 2, 5, 255}) CHECK_FALSE(console->start(screen_of(pixel_bytes), pixels, font));
  delete console;
  psf.resize(300);
  CHECK_FALSE(read_font(psf, font));
  std::vector<std::byte> second(32 + 128 * 16);
  const std::uint32_t head[8] = {0x864ab572, 0, 32, 0, 128, 16, 16, 8};
  std::memcpy(second.data(), head, sizeof head);
  CHECK(read_font(second, font));
  for (const std::size_t word : {2u, 4u, 5u, 6u, 7u}) {
    CAPTURE(word);
    for (const std::uint32_t value : {0u, 0xffffffffu}) {
      if (word == 2 && value == 0) continue;  // glyphs over the header: ugly, not dangerous
      if (word == 4 && value != 0) continue;  // more glyphs than are used
      std::uint32_t wrong[8];
      std::memcpy(wrong, head, sizeof head);
      wrong[word] = value;
      std::memcpy(second.data(), wrong, sizeof wrong);
      CHECK_FALSE(read_font(second, font));
    }
  }
}
