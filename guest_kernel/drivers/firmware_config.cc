#include "guest_kernel/drivers/firmware_config.h"

#include <algorithm>
#include <array>

#include "guest_kernel/arch/x86_64/cpu.h"

namespace rse::kernel {
namespace {

constexpr std::uint16_t kSelectPort = 0x510, kDataPort = 0x511;
constexpr std::uint16_t kSignature = 0x0000, kDirectory = 0x0019;
constexpr std::size_t kNameBytes = 56;
constexpr std::uint32_t kFilesMax = 1024;

void select(std::uint16_t item) { out16(kSelectPort, item); }

std::uint32_t read_big_endian(int bytes) {
  std::uint32_t value = 0;
  for (; bytes > 0; --bytes) value = value << 8 | in8(kDataPort);
  return value;
}

bool is_there() {
  select(kSignature);
  for (const char letter : std::string_view("QEMU")) {
    if (in8(kDataPort) != static_cast<std::uint8_t>(letter)) return false;
  }
  return true;
}

}  // namespace

std::optional<Bytes> read_firmware_file(std::string_view name, std::size_t size_max) {
  if (!is_there()) return std::nullopt;
  select(kDirectory);
  for (std::uint32_t left = std::min(read_big_endian(4), kFilesMax); left > 0; --left) {
    const std::uint32_t size = read_big_endian(4);
    const auto item = static_cast<std::uint16_t>(read_big_endian(2));
    static_cast<void>(read_big_endian(2));  // reserved
    std::array<char, kNameBytes> letters;
    for (char& letter : letters) letter = static_cast<char>(in8(kDataPort));
    const std::string_view found(letters.data(), letters.size());
    if (found.substr(0, found.find('\0')) != name) continue;
    if (size > size_max) return std::nullopt;
    Bytes bytes(size);
    select(item);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(in8(kDataPort));
    return bytes;
  }
  return std::nullopt;
}

}  // namespace rse::kernel
