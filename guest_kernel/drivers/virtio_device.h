// A virtio device on the PCI bus: features, queues, notices. VIRTIO 1.1: 3.1 (initialisation), 4.1 (PCI), 4.1.4.8 and 2.6.2
// (legacy interface). Modern where the device offers it, legacy otherwise.
// Size: queues of at most 256 descriptors. Threads: one. Memory: DMA memory for the queues, for good. Errors: sentences.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest_kernel/drivers/machine_pci.h"
#include "guest_kernel/drivers/virtio_queue.h"

namespace rse::kernel {

class VirtioDevice {
 public:
  /// Resets the device and agrees on those of `wanted_features` that it has. nullptr, or why it cannot be used.
  const char* start(const PciDevice& device, std::uint64_t wanted_features);
  bool has_feature(unsigned bit) const { return (features_ >> bit & 1) != 0; }
  bool is_modern() const { return common_ != nullptr; }

  /// Queue `index` with at most `count_max` descriptors. nullptr, or why not.
  const char* start_queue(std::uint16_t index, std::uint16_t count_max, VirtQueue& queue);
  /// `handler` is called when the device has returned buffers of queue `index`. False: only polling works here.
  bool on_done(std::uint16_t index, InterruptHandler handler, void* context);
  /// After the queues: the device may begin.
  void go();
  void notify(std::uint16_t index);

  /// Byte `offset` of the device's own configuration.
  std::uint8_t configuration(std::size_t offset) const;

 private:
  const char* start_modern(const PciDevice& device);
  std::uint64_t offered_features();
  bool accept_features(std::uint64_t features);
  void set_status(std::uint8_t status);
  std::uint8_t status() const;

  const PciDevice* device_ = nullptr;
  std::uint64_t features_ = 0;
  volatile std::byte* common_ = nullptr;  // modern: the common configuration
  volatile std::byte* notify_ = nullptr;
  std::size_t notify_bytes_ = 0;
  std::uint32_t notify_multiplier_ = 0;
  volatile std::byte* own_ = nullptr;     // modern: the device's configuration
  std::size_t own_bytes_ = 0;
  std::uint16_t ports_ = 0;               // legacy: first port
};

}  // namespace rse::kernel
