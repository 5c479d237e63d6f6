#include <string_view>

#include "guest_kernel/drivers/keyboard.h"

namespace rse::kernel {
namespace {

// Codes 0x00..0x39 of set 1; a blank with code below 0x39 is a key without a letter.
constexpr std::string_view kPlain =
    " \x1b"
    "1234567890-=\b\tqwertyuiop[]\n asdfghjkl;'` \\zxcvbnm,./ *  ";
constexpr std::string_view kShifted =
    " \x1b"
    "!@#$%^&*()_+\b\tQWERTYUIOP{}\n ASDFGHJKL:\"~ |ZXCVBNM<>? *  ";
constexpr std::uint8_t kSpace = 0x39, kLeftShift = 0x2a, kRightShift = 0x36, kControl = 0x1d, kCapsLock = 0x3a;
constexpr std::uint8_t kReleased = 0x80, kExtended = 0xe0;
static_assert(kPlain.size() == kSpace + 1 && kShifted.size() == kSpace + 1);

bool is_letter(char letter) { return letter >= 'a' && letter <= 'z'; }

}  // namespace

std::optional<char> ScanCodes::take(std::uint8_t code) {
  if (code == kExtended) {
    extended_ = true;
    return std::nullopt;
  }
  const bool extended = extended_;
  extended_ = false;
  const bool pressed = (code & kReleased) == 0;
  const std::uint8_t key = code & ~kReleased;
  if (key == kControl) control_ = pressed;
  if (extended) return pressed && key == 0x1c ? std::optional('\n') : std::nullopt;  // the keypad's Enter
  if (key == kLeftShift || key == kRightShift) shift_ = pressed;
  if (key == kCapsLock && pressed) capitals_ = !capitals_;
  if (!pressed || key > kSpace) return std::nullopt;
  const char plain = kPlain[key];
  if (plain == ' ' && key != kSpace) return std::nullopt;
  if (control_ && is_letter(plain)) return static_cast<char>(plain - 'a' + 1);
  const bool upper = is_letter(plain) ? shift_ != capitals_ : shift_;
  return upper ? kShifted[key] : plain;
}

}  // namespace rse::kernel
