#include "guest_kernel/boot/boot_info.h"

#include <algorithm>

namespace rse::kernel {

void BootInfo::add_usable(PhysicalRange range) {
  if (range.end <= range.begin) return;
  if (usable_count == kMemoryRangesMax) {
    ++ranges_left_out;
    return;
  }
  usable[usable_count++] = range;
}

void BootInfo::add_module(PhysicalRange range) {
  if (range.end < range.begin) return;
  if (module_count == kModulesMax) {
    ++ranges_left_out;
    return;
  }
  modules[module_count++] = range;
}

void BootInfo::set_command_line(std::string_view text) {
  command_line_size = std::min(text.size(), kCommandLineBytesMax);
  std::copy_n(text.begin(), command_line_size, command_line_text.begin());
}

std::span<const std::byte> PhysicalView::at(std::uint64_t address, std::uint64_t size) const {
  if (address == 0 || address > bytes_.size() || size > bytes_.size() - address) return {};
  return bytes_.subspan(address, size);
}

std::string_view PhysicalView::text_at(std::uint64_t address, std::size_t size_max) const {
  if (address == 0 || address >= bytes_.size()) return {};
  const auto bytes = bytes_.subspan(address, std::min<std::uint64_t>(size_max, bytes_.size() - address));
  const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(end - bytes.begin())};
}

}  // namespace rse::kernel
