#include "guest_kernel/drivers/keyboard.h"

#include <array>
#include <atomic>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/arch/x86_64/local_apic.h"

namespace rse::kernel {
namespace {

constexpr std::uint16_t kData = 0x60;
constexpr std::uint16_t kStatus = 0x64;  // read: status, write: command
constexpr std::uint8_t kOutputFull = 1;
constexpr std::uint8_t kInputFull = 2;
constexpr std::uint8_t kFromMouse = 0x20;
constexpr std::uint8_t kReadConfiguration = 0x20, kWriteConfiguration = 0x60, kEnableKeyboard = 0xae;
constexpr std::uint8_t kKeyboardInterrupt = 0x01, kKeyboardOff = 0x10, kTranslate = 0x40;
constexpr unsigned kLine = 1;
constexpr int kPollsMax = 100'000;

std::array<char, 64> ring;
std::atomic<unsigned> written = 0;
std::atomic<unsigned> read_count = 0;
ScanCodes scan_codes;

bool wait_for(std::uint8_t mask, std::uint8_t value) {
  for (int polls = 0; polls < kPollsMax; ++polls) {
    if ((in8(kStatus) & mask) == value) return true;
  }
  return false;
}

void send(std::uint16_t port, std::uint8_t byte) {
  if (wait_for(kInputFull, 0)) out8(port, byte);
}

void take_codes(Frame&, void*) {
  for (std::uint8_t status = in8(kStatus); (status & kOutputFull) != 0; status = in8(kStatus)) {
    const std::uint8_t code = in8(kData);
    if ((status & kFromMouse) != 0) continue;
    const auto letter = scan_codes.take(code);
    if (!letter || written - read_count == ring.size()) continue;
    ring[written % ring.size()] = *letter;
    ++written;
  }
}

}  // namespace

void start_keyboard() {
  if (in8(kStatus) == 0xff) return;  // nobody answers
  while ((in8(kStatus) & kOutputFull) != 0) static_cast<void>(in8(kData));
  send(kStatus, kEnableKeyboard);
  send(kStatus, kReadConfiguration);
  if (!wait_for(kOutputFull, kOutputFull)) return;
  const std::uint8_t configuration = in8(kData);
  route_isa_interrupt(kLine, add_interrupt(take_codes, nullptr));
  send(kStatus, kWriteConfiguration);
  send(kData, static_cast<std::uint8_t>((configuration | kKeyboardInterrupt | kTranslate) & ~kKeyboardOff));
}

std::optional<char> read_keyboard() {
  if (read_count == written) return std::nullopt;
  const char letter = ring[read_count % ring.size()];
  ++read_count;
  return letter;
}

}  // namespace rse::kernel
