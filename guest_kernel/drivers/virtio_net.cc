#include "guest_kernel/drivers/virtio_net.h"

#include <algorithm>
#include <cstring>

#include "guest_kernel/memory/kernel_memory.h"

namespace rse::kernel {
namespace {

using Direction = VirtQueue::Part::Direction;

constexpr std::uint16_t kVendor = 0x1af4, kModernDevice = 0x1041, kTransitionalDevice = 0x1000;
constexpr unsigned kFeatureAddress = 5;
constexpr std::uint16_t kReceive = 0, kSend = 1;  // queues
constexpr std::size_t kHeaderModern = 12, kHeaderLegacy = 10;  // 5.1.6: all zero without offloads
constexpr std::size_t kBufferBytes = 2048;

}  // namespace

std::uint64_t VirtioNet::buffer(std::uint16_t index, bool sending) const {
  return buffers_ + (std::size_t{sending} * kFrames + index) * kBufferBytes;
}

void VirtioNet::offer(std::uint16_t index) {
  const VirtQueue::Part part{buffer(index, false), kBufferBytes, Direction::kFromDevice};
  static_cast<void>(receiving_.add({&part, 1}, index));  // as many descriptors as buffers
}

const char* VirtioNet::start(InterruptHandler woken, void* context) {
  const PciDevices& devices = machine_devices();
  const PciDevice* found = devices.find(kVendor, kModernDevice);
  if (found == nullptr) found = devices.find(kVendor, kTransitionalDevice);
  if (found == nullptr) return "there is no virtio network card; start the machine with -device virtio-net-pci";
  if (const char* wrong = device_.start(*found, 1u << kFeatureAddress)) return wrong;
  if (!device_.has_feature(kFeatureAddress)) return "the network card has no address";
  if (const char* wrong = device_.start_queue(kReceive, kFrames, receiving_)) return wrong;
  if (const char* wrong = device_.start_queue(kSend, kFrames, sending_)) return wrong;
  header_bytes_ = device_.is_modern() ? kHeaderModern : kHeaderLegacy;
  buffers_ = take_dma_memory(2 * kFrames * kBufferBytes);
  if (buffers_ == 0) return "there is no memory for the network card's buffers";
  for (std::size_t i = 0; i < address_.size(); ++i) address_[i] = device_.configuration(i);
  wakes_ = device_.on_done(kReceive, woken, context);
  for (std::uint16_t i = 0; i < kFrames; ++i) offer(i);
  device_.go();
  device_.notify(kReceive);
  return nullptr;
}

bool VirtioNet::send(std::span<const std::byte> frame) {
  while (const auto done = sending_.take_done()) in_flight_[done->token % kFrames] = false;
  const auto free = std::ranges::find(in_flight_, false);
  if (frame.size() > kEthernetBytesMax || free == in_flight_.end()) return false;
  const auto index = static_cast<std::uint16_t>(free - in_flight_.begin());
  std::byte* const bytes = at_physical(buffer(index, true));
  std::memset(bytes, 0, header_bytes_);
  std::memcpy(bytes + header_bytes_, frame.data(), frame.size());
  const VirtQueue::Part part{buffer(index, true), static_cast<std::uint32_t>(header_bytes_ + frame.size()), Direction::kToDevice};
  if (!sending_.add({&part, 1}, index)) return false;
  in_flight_[index] = true;
  if (sending_.wants_notice()) device_.notify(kSend);
  return true;
}

std::size_t VirtioNet::receive(std::span<std::byte, kEthernetBytesMax> out) {
  while (const auto done = receiving_.take_done()) {
    const auto index = static_cast<std::uint16_t>(done->token % kFrames);
    const std::size_t size = done->size <= header_bytes_ ? 0 : std::min(done->size - header_bytes_, kEthernetBytesMax);
    std::memcpy(out.data(), at_physical(buffer(index, false)) + header_bytes_, size);
    offer(index);
    if (receiving_.wants_notice()) device_.notify(kReceive);
    if (size != 0) return size;
  }
  return 0;
}

}  // namespace rse::kernel
