// PVH start_info: Xen's public/arch-x86/hvm/start_info.h, "HVM direct boot ABI", versions 0 and 1.
#include "guest_kernel/boot/boot_info.h"

namespace rse::kernel {
namespace {

constexpr std::uint32_t kMagic = 0x336ec578;
constexpr std::uint32_t kTypeRam = 1;

struct StartInfo {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t flags;
  std::uint32_t module_count;
  std::uint64_t modules;
  std::uint64_t command_line;
  std::uint64_t acpi_root;
  std::uint64_t memory_map;  // from version 1 on
  std::uint32_t memory_map_count;
  std::uint32_t reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
  std::uint64_t address;
  std::uint64_t size;
  std::uint64_t command_line;
  std::uint64_t reserved;
};
static_assert(sizeof(Module) == 32);

struct MemoryEntry {
  std::uint64_t address;
  std::uint64_t size;
  std::uint32_t type;
  std::uint32_t reserved;
};
static_assert(sizeof(MemoryEntry) == 24);

}  // namespace

const char* read_pvh(const PhysicalView& physical, std::uint64_t address, BootInfo& out) {
  StartInfo info;
  if (!physical.read(address, info)) return "the PVH start information is outside of memory";
  if (info.magic != kMagic) return "the PVH start information has another magic number";
  if (info.version < 1 || info.memory_map == 0) return "the PVH loader gives no memory map (version 0)";
  out.loader = "PVH";
  out.acpi_root = info.acpi_root;
  out.tables = {address, address + sizeof info};
  out.set_command_line(physical.text_at(info.command_line, kCommandLineBytesMax));
  for (std::uint32_t i = 0; i < info.module_count && i < kModulesMax; ++i) {
    Module module;
    if (!physical.read(info.modules + i * sizeof module, module)) return "a PVH module entry is outside of memory";
    out.add_module({module.address, module.address + module.size});
  }
  for (std::uint32_t i = 0; i < info.memory_map_count; ++i) {
    MemoryEntry entry;
    if (!physical.read(info.memory_map + i * sizeof entry, entry)) return "the PVH memory map is outside of memory";
    if (entry.type == kTypeRam) out.add_usable({entry.address, entry.address + entry.size});
  }
  return out.usable_count == 0 ? "the PVH memory map lists no RAM" : nullptr;
}

}  // namespace rse::kernel
