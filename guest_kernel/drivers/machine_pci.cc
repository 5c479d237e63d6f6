#include "guest_kernel/drivers/machine_pci.h"

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/local_apic.h"
#include "guest_kernel/memory/kernel_memory.h"

namespace rse::kernel {
namespace {

// PCI Local Bus Specification 3.0, 3.2.2.3.2: configuration mechanism 1.
class Ports final : public PciAccess {
 public:
  std::uint32_t read(PciAddress address, std::uint8_t offset) override {
    const InterruptsOff off;
    select(address, offset);
    return in32(0xcfc);
  }
  void write(PciAddress address, std::uint8_t offset, std::uint32_t value) override {
    const InterruptsOff off;
    select(address, offset);
    out32(0xcfc, value);
  }

 private:
  static void select(PciAddress address, std::uint8_t offset) {
    out32(0xcf8, 1u << 31 | std::uint32_t{address.bus} << 16 | std::uint32_t{address.device} << 11 |
                     std::uint32_t{address.function} << 8 | (offset & 0xfcu));
  }
};

Ports ports;
PciDevices devices;
bool searched = false;

struct MsiXEntry {
  std::uint32_t address_low;
  std::uint32_t address_high;
  std::uint32_t data;
  std::uint32_t control;  // bit 0: masked
};

}  // namespace

PciAccess& machine_pci() { return ports; }

const PciDevices& machine_devices() {
  if (searched) return devices;
  searched = true;
  find_pci_devices(ports, devices);
  place_pci_devices(ports, devices);
  return devices;
}

bool connect_msix(const PciDevice& device, std::size_t entry, InterruptHandler handler, void* context) {
  const auto table = pci_msix_table(ports, device);
  if (!table || entry >= table->count) return false;
  std::byte* const entries = map_device(table->entries, PageCaching::kUncached);
  const unsigned vector = add_interrupt(handler, context);
  if (entries == nullptr || vector == 0) return false;
  const MessageInterrupt message = message_interrupt(vector);
  auto* const place = reinterpret_cast<volatile MsiXEntry*>(entries) + entry;
  place->control = 1;
  place->address_low = static_cast<std::uint32_t>(message.address);
  place->address_high = static_cast<std::uint32_t>(message.address >> 32);
  place->data = message.data;
  place->control = 0;
  return true;
}

}  // namespace rse::kernel
