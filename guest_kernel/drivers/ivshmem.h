// Memory shared with other guests and the host: QEMU's ivshmem device, plain or with doorbells.
// QEMU docs/specs/ivshmem-spec.rst: "PCI BARs", "Device Registers", "Interrupts".
// Size: what the host gave. Threads: any. Memory: mapped for good. Errors: a sentence. Doorbells coalesce: a handler looks at the
// memory and never counts interrupts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest_kernel/arch/x86_64/interrupts.h"

namespace rse::kernel {

class Ivshmem {
 public:
  /// The first such device. nullptr, or why there is no shared memory.
  const char* start();

  std::span<std::byte> memory() const { return memory_; }
  /// With a doorbell server: this guest's number among the peers.
  bool has_doorbell() const { return doorbell_; }
  std::uint16_t id() const;
  void ring(std::uint16_t peer, std::uint16_t vector);
  /// Calls `handler` when somebody rings `vector`. False: the device has no such vector.
  bool on_ring(std::uint16_t vector, InterruptHandler handler, void* context);

 private:
  const struct PciDevice* device_ = nullptr;
  std::span<std::byte> memory_;
  volatile std::uint32_t* registers_ = nullptr;
  bool doorbell_ = false;
};

}  // namespace rse::kernel
