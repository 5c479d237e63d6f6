#include "guest_kernel/drivers/pci.h"

#include <cstring>

#include "guest_kernel/test/test.h"

using namespace rse::kernel;

namespace {

/// Two buses of pretended devices: configuration bytes, and which bits of each base address can be written.
class PretendedBus final : public PciAccess {
 public:
  struct Device {
    PciAddress address;
    std::uint32_t words[64] = {};
    std::uint32_t bar_masks[6] = {};
  };
  Device& add(PciAddress address, std::uint32_t ids) {
    Device& device = devices[count++];
    device.address = address;
    device.words[0] = ids;
    return device;
  }
  std::uint32_t read(PciAddress address, std::uint8_t offset) override {
    Device* const device = find(address);
    return device == nullptr ? ~0u : device->words[offset / 4];
  }
  void write(PciAddress address, std::uint8_t offset, std::uint32_t value) override {
    Device* const device = find(address);
    if (device == nullptr) return;
    std::uint32_t& word = device->words[offset / 4];
    if (offset >= 0x10 && offset < 0x28) {
      const std::uint32_t mask = device->bar_masks[offset / 4 - 4];
      word = (value & mask) | (word & ~mask);
    } else {
      word = value;
    }
  }
  Device devices[8];
  std::size_t count = 0;

 private:
  Device* find(PciAddress address) {
    for (std::size_t i = 0; i < count; ++i) {
      if (devices[i].address == address) return &devices[i];
    }
    return nullptr;
  }
};

}  // namespace

TEST_CASE("pci: functions are found behind bridges, once, even when a bridge leads back") {
  PretendedBus bus;
  bus.add({0, 0, 0}, 0x29c08086);
  bus.add({0, 3, 0}, 0x11101af4).words[3] = 1u << 23;  // several functions
  bus.add({0, 3, 2}, 0x10001af4);
  auto& bridge = bus.add({0, 4, 0}, 0x000c1b36);
  bridge.words[3] = 1u << 16;
  bridge.words[6] = 0x00010100;  // secondary bus 1
  auto& back = bus.add({1, 0, 0}, 0x000c1b36);
  back.words[3] = 1u << 16;      // secondary bus 0: a circle
  bus.add({1, 31, 0}, 0x10411af4);
  PciDevices devices;
  find_pci_devices(bus, devices);
  CHECK(devices.count == 6);
  REQUIRE(devices.find(0x1af4, 0x1041) != nullptr);
  CHECK(devices.find(0x1af4, 0x1041)->address == PciAddress{1, 31, 0});
  CHECK(devices.find(0x1b36, 0x000c, 1) != nullptr);
  CHECK(devices.find(0x1b36, 0x000c, 2) == nullptr);
}

TEST_CASE("pci: base addresses of 32 and 64 bits and of ports are sized, and stay what they were") {
  PretendedBus bus;
  auto& device = bus.add({0, 1, 0}, 0x11101af4);
  device.words[1] = 7;
  device.words[4] = 0xfebf1000;
  device.bar_masks[0] = 0xffffff00;
  device.words[5] = 0x0000c041;
  device.bar_masks[1] = 0x0000ffe0;
  device.words[6] = 0x0000000c;  // 64 bits, prefetchable
  device.words[7] = 0x00000004;
  device.bar_masks[2] = 0xfc000000;
  device.bar_masks[3] = 0xffffffff;
  PciDevices devices;
  find_pci_devices(bus, devices);
  const PciDevice& found = devices.list[0];
  REQUIRE(pci_bar(bus, found, 0).has_value());
  CHECK(pci_bar(bus, found, 0)->range == PhysicalRange{0xfebf1000, 0xfebf1100});
  REQUIRE(pci_bar(bus, found, 1).has_value());
  CHECK_FALSE(pci_bar(bus, found, 1)->is_memory);
  CHECK(pci_bar(bus, found, 1)->range == PhysicalRange{0xc040, 0xc060});
  REQUIRE(pci_bar(bus, found, 2).has_value());
  CHECK(pci_bar(bus, found, 2)->range == PhysicalRange{0x400000000, 0x404000000});
  CHECK_FALSE(pci_bar(bus, found, 4).has_value());
  CHECK_FALSE(pci_bar(bus, found, 5).has_value());
  CHECK(device.words[1] == 7);
  CHECK(device.words[6] == 0xc);
  CHECK(device.words[7] == 4);
}

TEST_CASE("pci: devices that the firmware has left without a place get one each, those of a firmware that places stay where they are") {
  PretendedBus bus;
  auto& shared = bus.add({0, 1, 0}, 0x11101af4);
  shared.bar_masks[0] = 0xffffff00;
  shared.words[6] = 0x0000000c;  // 64 bits, prefetchable
  shared.bar_masks[2] = 0xfc000000;
  shared.bar_masks[3] = 0xffffffff;
  auto& net = bus.add({0, 2, 0}, 0x10411af4);
  net.words[4] = 1;
  net.bar_masks[0] = 0x0000ffe0;
  net.bar_masks[1] = 0xfffff000;
  auto& huge = bus.add({0, 3, 0}, 0x12341af4);
  huge.bar_masks[0] = 0xc0000000;  // more than there is
  auto& bridge = bus.add({0, 4, 0}, 0x000c1b36);
  bridge.words[3] = 1u << 16;
  bridge.words[6] = 0x00010100;    // registers 2 to 5 of a bridge are none
  bridge.bar_masks[2] = 0xffffffff;
  PciDevices devices;
  find_pci_devices(bus, devices);
  place_pci_devices(bus, devices);
  CHECK(pci_bar(bus, devices.list[0], 0)->range == PhysicalRange{0xe0000000, 0xe0000100});
  CHECK(pci_bar(bus, devices.list[0], 2)->range == PhysicalRange{0xe4000000, 0xe8000000});
  CHECK(pci_bar(bus, devices.list[1], 0)->range == PhysicalRange{0xc000, 0xc020});
  CHECK(pci_bar(bus, devices.list[1], 1)->range == PhysicalRange{0xe8000000, 0xe8001000});
  CHECK_FALSE(pci_bar(bus, devices.list[2], 0).has_value());
  CHECK(bridge.words[6] == 0x00010100);
  net.words[5] = 0;  // one that has lost its place among others that have theirs
  place_pci_devices(bus, devices);
  CHECK_FALSE(pci_bar(bus, devices.list[1], 1).has_value());
}

TEST_CASE("pci: capabilities are found in order, and a list that runs in a circle ends") {
  PretendedBus bus;
  auto& device = bus.add({0, 1, 0}, 0x10411af4);
  device.words[1] = 1u << 20;
  device.words[0x34 / 4] = 0x98;
  device.words[0x98 / 4] = 0x00038411;  // MSI-X, then 0x84; 4 vectors
  device.words[0x9c / 4] = 0x00000801;  // BAR 1, offset 0x800
  device.words[0x84 / 4] = 0x00004009;
  device.words[0x40 / 4] = 0x00009809;  // back to the first
  device.words[5] = 0xfebf0000;
  device.bar_masks[1] = 0xfffff000;
  PciDevices devices;
  find_pci_devices(bus, devices);
  const PciDevice& found = devices.list[0];
  CHECK(pci_capability(bus, found, kPciCapabilityMsiX) == 0x98);
  CHECK(pci_capability(bus, found, kPciCapabilityVendor) == 0x84);
  CHECK(pci_capability(bus, found, kPciCapabilityVendor, 0x84) == 0x40);
  CHECK(pci_capability(bus, found, 0x05) == 0);
  const auto table = pci_msix_table(bus, found);
  REQUIRE(table.has_value());
  CHECK(table->count == 4);
  CHECK(table->entries == PhysicalRange{0xfebf0800, 0xfebf0840});
  device.words[0x9c / 4] = 0x00000fe1;  // beyond the end of its BAR
  CHECK_FALSE(pci_msix_table(bus, found).has_value());
}
