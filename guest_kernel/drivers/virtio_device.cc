#include "guest_kernel/drivers/virtio_device.h"

#include <algorithm>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/memory/kernel_memory.h"

namespace rse::kernel {
namespace {

// 2.1: status bits. 6: reserved features.
constexpr std::uint8_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8;
constexpr unsigned kFeatureVersion1 = 32;
constexpr int kResetPollsMax = 1'000'000;

// 4.1.4: kinds of vendor capabilities.
constexpr std::uint8_t kCommonKind = 1, kNotifyKind = 2, kOwnKind = 4;

// 4.1.4.3: the common configuration.
enum Common : std::size_t {
  kDeviceFeatureSelect = 0, kDeviceFeature = 4, kDriverFeatureSelect = 8, kDriverFeature = 12, kStatus = 20,
  kQueueSelect = 22, kQueueSize = 24, kQueueVector = 26, kQueueEnable = 28, kQueueNotify = 30,
  kQueueDescriptors = 32, kQueueAvailable = 40, kQueueUsed = 48, kCommonBytes = 56,
};

// 4.1.4.8: legacy ports; the device's configuration follows at 20 while MSI-X is off.
enum Legacy : std::uint16_t {
  kLegacyDeviceFeatures = 0, kLegacyDriverFeatures = 4, kLegacyQueuePage = 8, kLegacyQueueSize = 12,
  kLegacyQueueSelect = 14, kLegacyNotify = 16, kLegacyStatus = 18, kLegacyOwn = 20,
};

template <class T>
T get(const volatile std::byte* base, std::size_t at) { return *reinterpret_cast<const volatile T*>(base + at); }
template <class T>
void put(volatile std::byte* base, std::size_t at, T value) { *reinterpret_cast<volatile T*>(base + at) = value; }

void put_address(volatile std::byte* base, std::size_t at, std::uint64_t value) {
  put(base, at, static_cast<std::uint32_t>(value));  // 4.1.3.1: wide fields in two halves
  put(base, at + 4, static_cast<std::uint32_t>(value >> 32));
}

struct Window {
  volatile std::byte* bytes = nullptr;
  std::size_t size = 0;
  std::uint8_t capability = 0;
};

/// The first structure of this kind that lies inside its BAR, mapped.
Window find_window(const PciDevice& device, std::uint8_t kind, std::size_t size_min) {
  PciAccess& pci = machine_pci();
  std::uint8_t at = 0;
  for (int i = 0; i < 48 && (at = pci_capability(pci, device, kPciCapabilityVendor, at)) != 0; ++i) {
    if (pci.read(device.address, at) >> 24 != kind) continue;
    const auto bar = pci_bar(pci, device, pci.read(device.address, static_cast<std::uint8_t>(at + 4)) & 0xff);
    const std::uint32_t offset = pci.read(device.address, static_cast<std::uint8_t>(at + 8));
    const std::uint32_t size = pci.read(device.address, static_cast<std::uint8_t>(at + 12));
    if (!bar || !bar->is_memory || size < size_min || std::uint64_t{offset} + size > bar->range.size()) continue;
    const std::uint64_t begin = bar->range.begin + offset;
    return {map_device({begin, begin + size}, PageCaching::kUncached), size, at};
  }
  return {};
}

}  // namespace

const char* VirtioDevice::start_modern(const PciDevice& device) {
  const Window common = find_window(device, kCommonKind, kCommonBytes);
  const Window notify = find_window(device, kNotifyKind, 2);
  const Window own = find_window(device, kOwnKind, 1);
  if (common.bytes == nullptr || notify.bytes == nullptr) return "it has no modern interface";
  common_ = common.bytes;
  notify_ = notify.bytes;
  notify_bytes_ = notify.size;
  notify_multiplier_ = machine_pci().read(device.address, static_cast<std::uint8_t>(notify.capability + 16));
  own_ = own.bytes;
  own_bytes_ = own.bytes == nullptr ? 0 : own.size;
  return nullptr;
}

const char* VirtioDevice::start(const PciDevice& device, std::uint64_t wanted_features) {
  device_ = &device;
  enable_pci(machine_pci(), device);
  if (start_modern(device) != nullptr) {
    const auto bar = pci_bar(machine_pci(), device, 0);
    if (!bar || bar->is_memory || bar->range.end > 0x10000) return "the virtio device has neither a modern nor a legacy interface";
    ports_ = static_cast<std::uint16_t>(bar->range.begin);
  }
  set_status(0);
  for (int polls = 0; status() != 0; ++polls) {
    if (polls == kResetPollsMax) return "the virtio device does not reset";
  }
  set_status(kAcknowledge);
  set_status(kAcknowledge | kDriver);
  if (is_modern()) wanted_features |= std::uint64_t{1} << kFeatureVersion1;
  if (!accept_features(offered_features() & wanted_features)) return "the virtio device refuses the features that it offered";
  return nullptr;
}

std::uint64_t VirtioDevice::offered_features() {
  if (!is_modern()) return in32(ports_ + kLegacyDeviceFeatures);
  std::uint64_t features = 0;
  for (std::uint32_t half = 0; half < 2; ++half) {
    put(common_, kDeviceFeatureSelect, half);
    features |= std::uint64_t{get<std::uint32_t>(common_, kDeviceFeature)} << 32 * half;
  }
  return features;
}

bool VirtioDevice::accept_features(std::uint64_t features) {
  features_ = features;
  if (!is_modern()) {
    out32(ports_ + kLegacyDriverFeatures, static_cast<std::uint32_t>(features));
    return true;
  }
  for (std::uint32_t half = 0; half < 2; ++half) {
    put(common_, kDriverFeatureSelect, half);
    put(common_, kDriverFeature, static_cast<std::uint32_t>(features >> 32 * half));
  }
  set_status(kAcknowledge | kDriver | kFeaturesOk);
  return has_feature(kFeatureVersion1) && (status() & kFeaturesOk) != 0;
}

void VirtioDevice::set_status(std::uint8_t status) {
  if (is_modern()) {
    put(common_, kStatus, status);
  } else {
    out8(ports_ + kLegacyStatus, status);
  }
}

std::uint8_t VirtioDevice::status() const {
  return is_modern() ? get<std::uint8_t>(common_, kStatus) : in8(ports_ + kLegacyStatus);
}

const char* VirtioDevice::start_queue(std::uint16_t index, std::uint16_t count_max, VirtQueue& queue) {
  std::uint16_t count = 0;
  if (is_modern()) {
    put(common_, kQueueSelect, index);
    count = std::min(get<std::uint16_t>(common_, kQueueSize), count_max);
  } else {
    out16(ports_ + kLegacyQueueSelect, index);
    count = in16(ports_ + kLegacyQueueSize);  // cannot be changed
  }
  if (count == 0 || (count & (count - 1)) != 0 || count > VirtQueue::kDescriptorsMax) return "the virtio device lacks a queue";
  const std::uint64_t physical = take_dma_memory(VirtQueue::bytes_needed(count));
  if (physical == 0) return "there is no memory for a virtio queue";
  queue.start(at_physical(physical), count);
  if (!is_modern()) {
    out32(ports_ + kLegacyQueuePage, static_cast<std::uint32_t>(physical / kPageBytes));
    return nullptr;
  }
  put(common_, kQueueSize, count);
  put_address(common_, kQueueDescriptors, physical);
  put_address(common_, kQueueAvailable, physical + queue.available_offset());
  put_address(common_, kQueueUsed, physical + queue.used_offset());
  put(common_, kQueueEnable, std::uint16_t{1});
  return nullptr;
}

bool VirtioDevice::on_done(std::uint16_t index, InterruptHandler handler, void* context) {
  // Legacy devices would move their configuration; they are polled.
  if (!is_modern() || !connect_msix(*device_, index, handler, context)) return false;
  put(common_, kQueueSelect, index);
  put(common_, kQueueVector, index);
  enable_msix(machine_pci(), *device_);
  return get<std::uint16_t>(common_, kQueueVector) == index;
}

void VirtioDevice::go() { set_status(kAcknowledge | kDriver | kDriverOk | (is_modern() ? kFeaturesOk : 0)); }

void VirtioDevice::notify(std::uint16_t index) {
  if (!is_modern()) return out16(ports_ + kLegacyNotify, index);
  put(common_, kQueueSelect, index);
  const std::size_t at = std::size_t{get<std::uint16_t>(common_, kQueueNotify)} * notify_multiplier_;
  if (at + 2 <= notify_bytes_) put(notify_, at, index);
}

std::uint8_t VirtioDevice::configuration(std::size_t offset) const {
  if (!is_modern()) return in8(static_cast<std::uint16_t>(ports_ + kLegacyOwn + offset));
  return offset < own_bytes_ ? get<std::uint8_t>(own_, offset) : 0;
}

}  // namespace rse::kernel
