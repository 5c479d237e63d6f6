#include "guest_kernel/drivers/serial.h"

#include <array>
#include <atomic>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/arch/x86_64/local_apic.h"
#include "guest_kernel/runtime/print.h"

namespace rse::kernel {
namespace {

constexpr std::uint16_t kPort = 0x3f8;
constexpr unsigned kLine = 4;
enum Register : std::uint16_t { kData = 0, kInterrupts = 1, kFifo = 2, kLineControl = 3, kModem = 4, kLineStatus = 5 };
constexpr std::uint8_t kDataReady = 1;
constexpr std::uint8_t kTransmitterEmpty = 0x20;
constexpr int kFifoLetters = 16;
constexpr int kPollsMax = 1'000'000;  // seconds, even on a slow port

std::array<char, 256> ring;
std::atomic<unsigned> written = 0;
std::atomic<unsigned> read_count = 0;

void write(std::string_view text) {
  int room = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (room == 0) {
      for (int polls = 0; (in8(kPort + kLineStatus) & kTransmitterEmpty) == 0; ++polls) {
        if (polls == kPollsMax) return;
      }
      room = kFifoLetters;
    }
    out8(kPort + kData, static_cast<std::uint8_t>(text[i++]));
    --room;
  }
}

void take_letters(Frame&, void*) {
  while ((in8(kPort + kLineStatus) & kDataReady) != 0) {
    const char letter = static_cast<char>(in8(kPort + kData));
    if (written - read_count == ring.size()) continue;
    ring[written % ring.size()] = letter;
    ++written;
  }
}

}  // namespace

void start_serial() {
  out8(kPort + kInterrupts, 0);
  out8(kPort + kLineControl, 0x80);  // the next two are the divisor
  out8(kPort + kData, 1);
  out8(kPort + kInterrupts, 0);
  out8(kPort + kLineControl, 0x03);  // 8N1
  out8(kPort + kFifo, 0xc7);         // on, cleared, interrupt at 14 letters or a pause
  out8(kPort + kModem, 0x0b);        // DTR, RTS, OUT2 (interrupts pass)
  add_console(write);
}

void listen_to_serial() {
  route_isa_interrupt(kLine, add_interrupt(take_letters, nullptr));
  out8(kPort + kInterrupts, 1);
}

std::optional<char> read_serial() {
  if (read_count == written) return std::nullopt;
  const char letter = ring[read_count % ring.size()];
  ++read_count;
  return letter;
}

}  // namespace rse::kernel
