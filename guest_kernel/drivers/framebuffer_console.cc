#include "guest_kernel/drivers/framebuffer_console.h"

#include <algorithm>
#include <cstring>

namespace rse::kernel {
namespace {

constexpr std::uint32_t kPsf2Magic = 0x864ab572;
constexpr std::uint16_t kPsf1Magic = 0x0436;
constexpr std::uint32_t kGlyphsMin = 128;
constexpr std::uint32_t kHeightMax = 64;
constexpr std::uint8_t kTextGray = 208;

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

}  // namespace

bool read_font(std::span<const std::byte> psf, Font& out) {
  std::size_t header = 0;
  std::uint32_t count = 256;
  if (psf.size() >= 32 && word_at(psf, 0) == kPsf2Magic) {
    header = word_at(psf, 8);
    count = word_at(psf, 16);
    out.glyph_bytes = word_at(psf, 20);
    out.height = word_at(psf, 24);
    out.width = word_at(psf, 28);
  } else if (psf.size() >= 4 && (word_at(psf, 0) & 0xffff) == kPsf1Magic) {
    header = 4;
    out.glyph_bytes = out.height = word_at(psf, 0) >> 24;
    out.width = 8;
  } else {
    return false;
  }
  if (count < kGlyphsMin || out.width == 0 || out.width > 16 || out.height == 0 || out.height > kHeightMax) return false;
  if (out.glyph_bytes != (out.width + 7) / 8 * out.height) return false;
  if (header > psf.size() || psf.size() - header < std::size_t{kGlyphsMin} * out.glyph_bytes) return false;
  out.glyphs = psf.subspan(header, std::size_t{kGlyphsMin} * out.glyph_bytes);
  return true;
}

bool FramebufferConsole::start(const Framebuffer& info, std::span<std::byte> pixels, const Font& font) {
  if (info.pixel_bytes < 3 || info.pixel_bytes > 4 || info.pitch / info.pixel_bytes < info.width || std::uint64_t{info.pitch} * info.height > pixels.size()) return false;
  info_ = info;
  pixels_ = pixels;
  font_ = font;
  columns_ = std::min(info.width / font.width, kColumnsMax);
  lines_ = std::min(info.height / font.height, kLinesMax);
  if (columns_ == 0 || lines_ == 0) return false;
  std::memset(pixels.data(), 0, std::size_t{info.pitch} * info.height);
  for (auto& line : letters_) line.fill(' ');
  drawn_ = letters_;
  return true;
}

std::uint32_t FramebufferConsole::gray(std::uint8_t level) const {
  return std::uint32_t{level} << info_.red_shift | std::uint32_t{level} << info_.green_shift |
         std::uint32_t{level} << info_.blue_shift;
}

void FramebufferConsole::draw(std::uint32_t column, std::uint32_t line) {
  const char letter = letters_[line][column];
  drawn_[line][column] = letter;
  const std::size_t row_bytes = (font_.width + 7) / 8;
  const auto glyph = font_.glyphs.subspan(static_cast<unsigned char>(letter) * font_.glyph_bytes, font_.glyph_bytes);
  for (std::uint32_t y = 0; y < font_.height; ++y) {
    std::byte* place = pixels_.data() + std::size_t{line * font_.height + y} * info_.pitch + column * font_.width * info_.pixel_bytes;
    for (std::uint32_t x = 0; x < font_.width; ++x, place += info_.pixel_bytes) {
      const bool lit = (static_cast<std::uint8_t>(glyph[y * row_bytes + x / 8]) >> (7 - x % 8) & 1) != 0;
      const std::uint32_t color = lit ? gray(kTextGray) : 0;
      std::memcpy(place, &color, info_.pixel_bytes);
    }
  }
}

void FramebufferConsole::new_line() {
  column_ = 0;
  if (++line_ < lines_) return;
  line_ = lines_ - 1;
  for (std::uint32_t line = 0; line + 1 < lines_; ++line) letters_[line] = letters_[line + 1];
  letters_[lines_ - 1].fill(' ');
  for (std::uint32_t line = 0; line < lines_; ++line) {
    for (std::uint32_t column = 0; column < columns_; ++column) {
      if (letters_[line][column] != drawn_[line][column]) draw(column, line);
    }
  }
}

void FramebufferConsole::put(char letter) {
  if (letter == '\n') return new_line();
  if (letter == '\r') return;
  if (column_ == columns_) new_line();
  letters_[line_][column_] = letter >= ' ' && letter <= '~' ? letter : '?';
  draw(column_, line_);
  ++column_;
}

void FramebufferConsole::write(std::string_view text) {
  for (const char letter : text) put(letter);
}

}  // namespace rse::kernel
