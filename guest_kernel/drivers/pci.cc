#include "guest_kernel/drivers/pci.h"

#include <bitset>

#include "guest_kernel/memory/layout.h"

namespace rse::kernel {
namespace {

enum Offset : std::uint8_t {
  kVendor = 0x00,
  kCommand = 0x04,
  kClass = 0x08,
  kHeaderType = 0x0c,  // in bits 16..23
  kBars = 0x10,
  kBuses = 0x18,       // bridges: primary, secondary, subordinate
  kCapabilities = 0x34,
};
constexpr std::uint32_t kCommandIo = 1, kCommandMemory = 2, kCommandMaster = 4;
constexpr std::uint32_t kStatusCapabilities = 1u << 20;  // in the dword of kCommand
constexpr std::uint32_t kMultiFunction = 1u << 23;
constexpr std::uint32_t kBridge = 1;
constexpr std::uint32_t kMsiXEnable = 1u << 31;
constexpr std::uint32_t kMsiXMaskAll = 1u << 30;
constexpr unsigned kBarsMax = 6;
constexpr int kCapabilitiesMax = 48;  // (256 - 64) / 4

class Search {
 public:
  Search(PciAccess& access, PciDevices& out) : access_(access), out_(out) {}

  void bus(std::uint8_t number) {
    if (seen_[number]) return;
    seen_[number] = true;
    for (std::uint8_t slot = 0; slot < 32; ++slot) {
      if (!function({number, slot, 0})) continue;
      if ((access_.read({number, slot, 0}, kHeaderType) & kMultiFunction) == 0) continue;
      for (std::uint8_t other = 1; other < 8; ++other) function({number, slot, other});
    }
  }

 private:
  bool function(PciAddress address) {
    const std::uint32_t ids = access_.read(address, kVendor);
    if ((ids & 0xffff) == 0xffff) return false;
    if (out_.count == kPciDevicesMax) {
      ++out_.left_out;
    } else {
      out_.list[out_.count++] = {address, static_cast<std::uint16_t>(ids), static_cast<std::uint16_t>(ids >> 16),
                                 access_.read(address, kClass) >> 8};
    }
    if ((access_.read(address, kHeaderType) >> 16 & 0x7f) == kBridge) {
      bus(static_cast<std::uint8_t>(access_.read(address, kBuses) >> 8));
    }
    return true;
  }

  PciAccess& access_;
  PciDevices& out_;
  std::bitset<256> seen_;
};

// Where neither RAM nor the interrupt controllers lie, nor q35's configuration space: free as long as nobody has placed devices.
constexpr PhysicalRange kFreeMemory{0xe0000000, 0xfec00000};
constexpr PhysicalRange kFreePorts{0xc000, 0x10000};

struct Bar {
  std::uint64_t begin = 0;  // 0: it has no place yet
  std::uint64_t size = 0;   // a power of two
  bool is_memory = false;
  bool is_wide = false;     // takes the next register, too
};

/// nullopt: there is none, or it is malformed.
std::optional<Bar> read_bar(PciAccess& access, const PciDevice& device, unsigned index) {
  if (index >= kBarsMax) return std::nullopt;
  const auto place = static_cast<std::uint8_t>(kBars + 4 * index);
  const std::uint32_t low = access.read(device.address, place);
  const bool is_memory = (low & 1) == 0;
  const bool is_wide = is_memory && (low >> 1 & 3) == 2;
  if (is_wide && index + 1 == kBarsMax) return std::nullopt;
  const auto next = static_cast<std::uint8_t>(place + 4);
  const std::uint32_t high = is_wide ? access.read(device.address, next) : 0;
  // While its size is asked for, the device must not answer there.
  const std::uint32_t command = access.read(device.address, kCommand) & 0xffff;
  access.write(device.address, kCommand, command & ~(kCommandIo | kCommandMemory));
  access.write(device.address, place, ~0u);
  std::uint64_t mask = access.read(device.address, place);
  access.write(device.address, place, low);
  if (is_wide) {
    access.write(device.address, next, ~0u);
    mask |= std::uint64_t{access.read(device.address, next)} << 32;
    access.write(device.address, next, high);
  } else if (mask != 0) {
    mask |= ~std::uint64_t{0} << 32;
  }
  access.write(device.address, kCommand, command);
  if (mask == 0) return std::nullopt;
  if (!is_memory) mask |= ~std::uint64_t{0xffff};  // ports have 16 bits
  const std::uint64_t flags = is_memory ? 0xf : 0x3;
  const std::uint64_t size = ~(mask & ~flags) + 1;
  if (size == 0) return std::nullopt;
  return Bar{(std::uint64_t{high} << 32 | low) & ~flags, size, is_memory, is_wide};
}

}  // namespace

const PciDevice* PciDevices::find(std::uint16_t vendor, std::uint16_t device, std::size_t index) const {
  for (const PciDevice& found : all()) {
    if (found.vendor == vendor && found.device == device && index-- == 0) return &found;
  }
  return nullptr;
}

void find_pci_devices(PciAccess& access, PciDevices& out) {
  out = {};
  Search(access, out).bus(0);
}

std::optional<PciBar> pci_bar(PciAccess& access, const PciDevice& device, unsigned index) {
  const std::optional<Bar> bar = read_bar(access, device, index);
  if (!bar || bar->begin == 0 || bar->begin + bar->size < bar->begin) return std::nullopt;
  return PciBar{{bar->begin, bar->begin + bar->size}, bar->is_memory};
}

void place_pci_devices(PciAccess& access, const PciDevices& devices) {
  const auto for_each_bar = [&](auto&& use) {
    for (const PciDevice& device : devices.all()) {
      const bool is_plain = (access.read(device.address, kHeaderType) >> 16 & 0x7f) == 0;
      if (!is_plain || device.address.bus != 0) continue;  // those behind bridges would need room in the bridges, too
      for (unsigned index = 0; index < kBarsMax; ++index) {
        const std::optional<Bar> bar = read_bar(access, device, index);
        if (!bar) continue;
        use(device, static_cast<std::uint8_t>(kBars + 4 * index), *bar);
        if (bar->is_wide) ++index;
      }
    }
  };
  bool has_places = false;
  for_each_bar([&](const PciDevice&, std::uint8_t, const Bar& bar) { has_places = has_places || bar.begin != 0; });
  if (has_places) return;
  PhysicalRange memory = kFreeMemory;
  PhysicalRange ports = kFreePorts;
  for_each_bar([&](const PciDevice& device, std::uint8_t place, const Bar& bar) {
    PhysicalRange& room = bar.is_memory ? memory : ports;
    const std::uint64_t begin = round_up(room.begin, bar.size);
    if (bar.size > room.size() || begin + bar.size > room.end) return;  // its driver says that it has no registers
    room.begin = begin + bar.size;
    access.write(device.address, place, static_cast<std::uint32_t>(begin));
    if (bar.is_wide) access.write(device.address, static_cast<std::uint8_t>(place + 4), 0);
  });
}

std::uint8_t pci_capability(PciAccess& access, const PciDevice& device, std::uint8_t id, std::uint8_t after) {
  if ((access.read(device.address, kCommand) & kStatusCapabilities) == 0) return 0;
  std::uint8_t at = after != 0 ? static_cast<std::uint8_t>(access.read(device.address, after) >> 8)
                               : static_cast<std::uint8_t>(access.read(device.address, kCapabilities));
  for (int i = 0; i < kCapabilitiesMax; ++i) {
    at &= 0xfc;
    if (at < 0x40) return 0;
    const std::uint32_t head = access.read(device.address, at);
    if ((head & 0xff) == id) return at;
    at = static_cast<std::uint8_t>(head >> 8);
  }
  return 0;
}

void enable_pci(PciAccess& access, const PciDevice& device) {
  const std::uint32_t command = access.read(device.address, kCommand) & 0xffff;
  access.write(device.address, kCommand, command | kCommandIo | kCommandMemory | kCommandMaster);
}

std::optional<MsiXTable> pci_msix_table(PciAccess& access, const PciDevice& device) {
  const std::uint8_t at = pci_capability(access, device, kPciCapabilityMsiX);
  if (at == 0) return std::nullopt;
  const std::size_t count = (access.read(device.address, at) >> 16 & 0x7ff) + 1;
  const std::uint32_t place = access.read(device.address, static_cast<std::uint8_t>(at + 4));
  const auto bar = pci_bar(access, device, place & 7);
  const std::uint32_t offset = place & ~7u;
  if (!bar || !bar->is_memory || offset + count * 16 > bar->range.size()) return std::nullopt;
  return MsiXTable{{bar->range.begin + offset, bar->range.begin + offset + count * 16}, count};
}

void enable_msix(PciAccess& access, const PciDevice& device) {
  const std::uint8_t at = pci_capability(access, device, kPciCapabilityMsiX);
  if (at == 0) return;
  const std::uint32_t head = access.read(device.address, at);
  access.write(device.address, at, (head | kMsiXEnable) & ~kMsiXMaskAll);
}

}  // namespace rse::kernel
