// A network card: VIRTIO 1.1, 5.1, without offloads.
// Size: kFrames buffers of 2 KiB in each direction. Threads: one; the interrupt only wakes the processor. Memory: DMA memory for good.
// Errors: sentences at start; a full queue refuses a frame; frames that are too short are dropped.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest_kernel/drivers/virtio_device.h"

namespace rse::kernel {

inline constexpr std::size_t kEthernetBytesMax = 1514;

class VirtioNet {
 public:
  /// The first virtio network card. nullptr, or why there is none. `woken` is called when frames have come, with interrupts off;
  /// it only has to wake the processor: receive() looks at the queue itself.
  const char* start(InterruptHandler woken, void* context);
  /// False: `woken` is never called (a card with nothing but the legacy interface).
  bool wakes() const { return wakes_; }
  const std::array<std::uint8_t, 6>& address() const { return address_; }

  /// An Ethernet frame without checksum. False: too long, or the queue is full.
  bool send(std::span<const std::byte> frame);
  /// Copies the next received frame to `out`; its size, 0: there is none.
  std::size_t receive(std::span<std::byte, kEthernetBytesMax> out);
  /// Whether receive() would find something.
  bool has_frame() const { return receiving_.has_done(); }

 private:
  static constexpr std::uint16_t kFrames = VirtQueue::kDescriptorsMax;
  std::uint64_t buffer(std::uint16_t index, bool sending) const;
  void offer(std::uint16_t index);

  VirtioDevice device_;
  VirtQueue receiving_, sending_;
  std::array<std::uint8_t, 6> address_{};
  std::size_t header_bytes_ = 0;
  bool wakes_ = false;
  std::uint64_t buffers_ = 0;  // physical
  std::array<bool, kFrames> in_flight_{};
};

}  // namespace rse::kernel
