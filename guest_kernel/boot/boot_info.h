// What the loader tells the kernel, whichever of the two doors it came by: memory, modules, command line, framebuffer, ACPI.
// Size: fixed; more memory ranges or modules than fit are counted and left out. Threads: none. Memory: none beyond the
// struct; the text is copied, modules stay where the loader put them. Errors: a sentence; nothing is read outside `physical`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace rse::kernel {

struct PhysicalRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // exclusive
  std::uint64_t size() const { return end - begin; }
  friend bool operator==(const PhysicalRange&, const PhysicalRange&) = default;
};

struct Framebuffer {
  std::uint64_t address = 0;  // physical; 0: there is none
  std::uint32_t pitch = 0;    // bytes from one line to the next
  std::uint32_t width = 0;    // pixels
  std::uint32_t height = 0;
  std::uint8_t pixel_bytes = 4;  // 3 or 4
  std::uint8_t red_shift = 16, green_shift = 8, blue_shift = 0;
};

inline constexpr std::size_t kMemoryRangesMax = 64;
inline constexpr std::size_t kModulesMax = 8;
inline constexpr std::size_t kCommandLineBytesMax = 1024;

struct BootInfo {
  const char* loader = "";
  std::array<PhysicalRange, kMemoryRangesMax> usable{};  // RAM that nobody else uses, as the loader listed it
  std::size_t usable_count = 0;
  std::size_t ranges_left_out = 0;
  std::array<PhysicalRange, kModulesMax> modules{};
  std::size_t module_count = 0;
  PhysicalRange tables;  // the loader's own structures: kept until everything is copied
  Framebuffer framebuffer;
  std::uint64_t acpi_root = 0;  // physical address of the RSDP; 0: not told
  std::array<char, kCommandLineBytesMax + 1> command_line_text{};
  std::size_t command_line_size = 0;

  std::string_view command_line() const { return {command_line_text.data(), command_line_size}; }
  void add_usable(PhysicalRange range);
  void add_module(PhysicalRange range);
  void set_command_line(std::string_view text);
};

/// The first bytes of physical memory as the kernel sees them; reads outside are refused.
class PhysicalView {
 public:
  explicit PhysicalView(std::span<const std::byte> bytes) : bytes_(bytes) {}
  /// Empty when the range is not inside.
  std::span<const std::byte> at(std::uint64_t address, std::uint64_t size) const;
  /// Up to the first zero byte, `size_max` or the end.
  std::string_view text_at(std::uint64_t address, std::size_t size_max) const;
  template <class T>
  bool read(std::uint64_t address, T& out) const {
    const auto found = at(address, sizeof(T));
    if (found.empty()) return false;
    __builtin_memcpy(&out, found.data(), sizeof(T));
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};

/// Each returns nullptr, or what is wrong with what the loader left at `address`.
const char* read_pvh(const PhysicalView& physical, std::uint64_t address, BootInfo& out);
const char* read_multiboot2(const PhysicalView& physical, std::uint64_t address, BootInfo& out);

}  // namespace rse::kernel
