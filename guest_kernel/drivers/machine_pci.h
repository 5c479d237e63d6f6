// The machine's own PCI bus: configuration through ports CF8 and CFC, interrupts through MSI-X.
// Threads: start-up. Memory: static. Errors: false when the device has no such vector.
#pragma once

#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/drivers/pci.h"

namespace rse::kernel {

/// Finds the devices at the first call.
const PciDevices& machine_devices();
PciAccess& machine_pci();

/// Lets `entry` of the device's MSI-X table call `handler`. After the last one: enable_msix().
bool connect_msix(const PciDevice& device, std::size_t entry, InterruptHandler handler, void* context);

}  // namespace rse::kernel
