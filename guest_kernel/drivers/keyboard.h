// A PS/2 keyboard, or what firmware makes look like one: letters of a US layout. IBM PS/2 Hardware Interface Technical
// Reference, "Keyboard and Auxiliary Device Controller"; scan codes of set 1, into which the controller translates.
// Size: a ring of 64 letters. Threads: the interrupt writes, one reader. Errors: unknown keys are ignored; unread letters dropped.
#pragma once

#include <cstdint>
#include <optional>

namespace rse::kernel {

/// Letters out of scan codes; keeps shift and control.
class ScanCodes {
 public:
  /// The letter of this code, if it makes one: printable ASCII, '\n', '\b', '\t', 27, or 1..26 with control.
  std::optional<char> take(std::uint8_t code);

 private:
  bool shift_ = false;
  bool control_ = false;
  bool capitals_ = false;
  bool extended_ = false;
};

/// After interrupts work. Does nothing when there is no controller.
void start_keyboard();
std::optional<char> read_keyboard();

}  // namespace rse::kernel
