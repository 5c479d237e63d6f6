// Multiboot2 boot information: Multiboot2 Specification 2.0, 3.6.
#include "guest_kernel/boot/boot_info.h"

namespace rse::kernel {
namespace {

constexpr std::uint32_t kInformationBytesMax = 1u << 20;
constexpr std::uint32_t kTypeRam = 1;
constexpr std::uint8_t kFramebufferRgb = 1;

enum TagType : std::uint32_t {
  kEnd = 0,
  kCommandLine = 1,
  kModule = 3,
  kMemoryMap = 6,
  kFramebuffer = 8,
  kAcpiOld = 14,
  kAcpiNew = 15,
};

struct Tag {
  std::uint32_t type;
  std::uint32_t size;  // with this header, without padding to 8
};

struct MemoryEntry {
  std::uint64_t address;
  std::uint64_t size;
  std::uint32_t type;
  std::uint32_t reserved;
};

struct [[gnu::packed]] FramebufferTag {
  Tag tag;
  std::uint64_t address;
  std::uint32_t pitch;
  std::uint32_t width;
  std::uint32_t height;
  std::uint8_t bits_per_pixel;
  std::uint8_t type;
  std::uint16_t reserved;
  std::uint8_t red_position, red_size, green_position, green_size, blue_position, blue_size;
};

void read_memory_map(const PhysicalView& physical, std::uint64_t address, const Tag& tag, BootInfo& out) {
  std::uint32_t entry_size = 0;
  if (!physical.read(address + 8, entry_size) || entry_size < sizeof(MemoryEntry)) return;
  for (std::uint64_t at = 16; at + entry_size <= tag.size; at += entry_size) {
    MemoryEntry entry;
    if (!physical.read(address + at, entry)) return;
    if (entry.type == kTypeRam) out.add_usable({entry.address, entry.address + entry.size});
  }
}

void read_framebuffer(const PhysicalView& physical, std::uint64_t address, BootInfo& out) {
  FramebufferTag found;
  if (!physical.read(address, found)) return;
  const auto pixel_bytes = static_cast<std::uint8_t>(found.bits_per_pixel / 8);
  if (found.type != kFramebufferRgb || (pixel_bytes != 3 && pixel_bytes != 4)) return;  // text, or nothing we draw on
  out.framebuffer = {found.address, found.pitch, found.width, found.height, pixel_bytes,
                     found.red_position, found.green_position, found.blue_position};
}

void read_tag(const PhysicalView& physical, std::uint64_t address, const Tag& tag, BootInfo& out) {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  switch (tag.type) {
    case kCommandLine:
      out.set_command_line(physical.text_at(address + 8, tag.size - 8));
      break;
    case kModule:
      if (physical.read(address + 8, begin) && physical.read(address + 12, end)) out.add_module({begin, end});
      break;
    case kMemoryMap: read_memory_map(physical, address, tag, out); break;
    case kFramebuffer: read_framebuffer(physical, address, out); break;
    case kAcpiOld:
      if (out.acpi_root == 0) out.acpi_root = address + 8;
      break;
    case kAcpiNew: out.acpi_root = address + 8; break;
    default: break;  // the loader may say more than we ask
  }
}

}  // namespace

const char* read_multiboot2(const PhysicalView& physical, std::uint64_t address, BootInfo& out) {
  std::uint32_t size = 0;
  if (!physical.read(address, size)) return "the Multiboot2 information is outside of memory";
  if (size < 16 || size > kInformationBytesMax) return "the Multiboot2 information has an impossible size";
  out.loader = "Multiboot2";
  out.tables = {address, address + size};
  for (std::uint64_t at = 8; at + sizeof(Tag) <= size;) {
    Tag tag;
    if (!physical.read(address + at, tag)) return "a Multiboot2 tag is outside of memory";
    if (tag.type == kEnd) break;
    if (tag.size < sizeof(Tag) || tag.size > size - at) return "a Multiboot2 tag has an impossible size";
    read_tag(physical, address + at, tag, out);
    at += (std::uint64_t{tag.size} + 7) / 8 * 8;
  }
  return out.usable_count == 0 ? "the Multiboot2 memory map lists no RAM" : nullptr;
}

}  // namespace rse::kernel
