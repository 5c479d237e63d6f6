#include "torus/base/sentence.h"

#include <cstdint>

namespace rse {
namespace {

/// How many bytes the character takes that begins with `first`; 0: none begins so.
std::size_t character_bytes(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

}  // namespace

bool is_sentence(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t size = character_bytes(first);
    if (size == 0 || size > text.size() || first < 0x20 || first == 0x7F) return false;
    std::uint32_t code = first;
    for (std::size_t i = 1; i < size; ++i) {
      const auto next = static_cast<unsigned char>(text[i]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 8 | next;
    }
    // Longer than need be, a surrogate, beyond the last character, or a control character of two bytes.
    if (size == 2 && code < 0xC2A0) return false;
    if (size == 3 && (code < 0xE0A080 || (code >= 0xEDA080 && code <= 0xEDBFBF))) return false;
    if (size == 4 && (code < 0xF0908080 || code > 0xF48FBFBF)) return false;
    text.remove_prefix(size);
  }
  return true;
}

void cut_sentence(std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return;
  text.resize(bytes_max);
  while (!text.empty() && !is_sentence(text)) text.pop_back();
}

}  // namespace rse
