// PCI configuration space: which devices there are, where their registers lie, which capabilities they have.
// PCI Local Bus Specification 3.0: 6.1 (header), 6.2.5 (base addresses), 6.7 (capabilities), 6.8.2 (MSI-X); PCI-to-PCI Bridge
// Architecture 1.2, 3.2.5. Size: kPciDevicesMax. Threads: one, at start-up. Memory: static. Errors: nullopt or 0; a list of
// capabilities that runs in a circle ends. Invariant: nothing is written to a device that was only looked at.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guest_kernel/boot/boot_info.h"

namespace rse::kernel {

struct PciAddress {
  std::uint8_t bus = 0;
  std::uint8_t device = 0;
  std::uint8_t function = 0;
  friend bool operator==(const PciAddress&, const PciAddress&) = default;
};

/// The way into configuration space; `offset` is a multiple of 4 below 256.
class PciAccess {
 public:
  virtual std::uint32_t read(PciAddress address, std::uint8_t offset) = 0;
  virtual void write(PciAddress address, std::uint8_t offset, std::uint32_t value) = 0;

 protected:
  ~PciAccess() = default;
};

struct PciDevice {
  PciAddress address;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint32_t class_code = 0;  // base class, sub-class, interface: 24 bits
};

struct PciBar {
  PhysicalRange range;  // memory, or ports
  bool is_memory = false;
};

inline constexpr std::size_t kPciDevicesMax = 64;

struct PciDevices {
  std::array<PciDevice, kPciDevicesMax> list;
  std::size_t count = 0;
  std::size_t left_out = 0;
  std::span<const PciDevice> all() const { return {list.data(), count}; }
  /// The `index`-th of this kind.
  const PciDevice* find(std::uint16_t vendor, std::uint16_t device, std::size_t index = 0) const;
};

/// Every function on bus 0 and behind bridges.
void find_pci_devices(PciAccess& access, PciDevices& out);

/// Base address register 0..5; nullopt: unused or malformed. The device must be idle: sizing writes to it for a moment.
std::optional<PciBar> pci_bar(PciAccess& access, const PciDevice& device, unsigned index);

/// Gives the devices of bus 0 their places, if the firmware has placed none at all (QEMU's qboot.rom leaves that to the kernel).
void place_pci_devices(PciAccess& access, const PciDevices& devices);

/// Offset of the next capability `id` after `after` (0: the first); 0: there is none.
std::uint8_t pci_capability(PciAccess& access, const PciDevice& device, std::uint8_t id, std::uint8_t after = 0);
inline constexpr std::uint8_t kPciCapabilityVendor = 0x09;
inline constexpr std::uint8_t kPciCapabilityMsiX = 0x11;

/// Lets the device answer at its addresses and reach memory itself.
void enable_pci(PciAccess& access, const PciDevice& device);

struct MsiXTable {
  PhysicalRange entries;  // 16 bytes each
  std::size_t count = 0;
};
/// Where the device's vectors are; nullopt: it has none.
std::optional<MsiXTable> pci_msix_table(PciAccess& access, const PciDevice& device);
/// From now on the device raises what its table says, and no longer a shared line.
void enable_msix(PciAccess& access, const PciDevice& device);

}  // namespace rse::kernel
