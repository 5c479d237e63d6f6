// Text on the screen that the loader set up: 24 or 32 bits a pixel, a fixed font, scrolling.
// Font: a PC Screen Font, version 1 (magic 36 04) or 2 (magic 72 b5 4a 86), 256 glyphs or more, at most 16 pixels wide; glyphs
// 32..126 have to be ASCII. Size: the letters on the screen, at most kColumnsMax by kLinesMax. Threads: as print(). Memory: static.
// Errors: false for a font or a screen that it cannot use. The screen is never read: that is slow on real machines.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest_kernel/boot/boot_info.h"

namespace rse::kernel {

struct Font {
  std::span<const std::byte> glyphs;
  std::uint32_t glyph_bytes = 0;
  std::uint32_t width = 0, height = 0;  // pixels
};
bool read_font(std::span<const std::byte> psf, Font& out);

class FramebufferConsole {
 public:
  /// `pixels`: the mapped framebuffer of `info`.
  bool start(const Framebuffer& info, std::span<std::byte> pixels, const Font& font);
  void write(std::string_view text);

  std::uint32_t columns() const { return columns_; }
  std::uint32_t lines() const { return lines_; }

  static constexpr std::uint32_t kColumnsMax = 256;
  static constexpr std::uint32_t kLinesMax = 128;

 private:
  void put(char letter);
  void new_line();
  void draw(std::uint32_t column, std::uint32_t line);
  std::uint32_t gray(std::uint8_t level) const;

  Framebuffer info_;
  std::span<std::byte> pixels_;
  Font font_;
  std::uint32_t columns_ = 0, lines_ = 0;
  std::uint32_t column_ = 0, line_ = 0;
  std::array<std::array<char, kColumnsMax>, kLinesMax> letters_{};
  std::array<std::array<char, kColumnsMax>, kLinesMax> drawn_{};  // what the screen shows
};

/// Maps the loader's framebuffer and adds it to the consoles. nullptr, or why there is no picture.
const char* start_framebuffer(const Framebuffer& info);

}  // namespace rse::kernel
