#include "guest_kernel/drivers/virtio_block.h"

#include <cstring>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/memory/kernel_memory.h"

namespace rse::kernel {
namespace {

using Direction = VirtQueue::Part::Direction;

constexpr std::uint16_t kVendor = 0x1af4, kModernDevice = 0x1042, kTransitionalDevice = 0x1001;
constexpr unsigned kFeatureReadOnly = 5, kFeatureFlush = 9;
constexpr std::uint32_t kRead = 0, kWrite = 1, kFlush = 4;
constexpr std::uint8_t kDone = 0, kUnsupported = 2, kNoAnswer = 0xff;
constexpr std::uint16_t kDescriptors = 16;
constexpr Duration kAnswerMax = milliseconds(10'000);

struct Request {
  std::uint32_t type;
  std::uint32_t reserved;
  std::uint64_t sector;
};
constexpr std::size_t kStatusAt = 64;
constexpr std::size_t kDataAt = kPageBytes;

}  // namespace

const char* VirtioBlock::start() {
  const PciDevices& devices = machine_devices();
  const PciDevice* found = devices.find(kVendor, kModernDevice);
  if (found == nullptr) found = devices.find(kVendor, kTransitionalDevice);
  if (found == nullptr) return "there is no virtio disk; start the machine with -device virtio-blk-pci";
  if (const char* wrong = device_.start(*found, 1u << kFeatureReadOnly | 1u << kFeatureFlush)) return wrong;
  if (const char* wrong = device_.start_queue(0, kDescriptors, queue_)) return wrong;
  buffer_ = take_dma_memory(kDataAt + kBlockBytesMax);
  if (buffer_ == 0) return "there is no memory for the disk's buffer";
  for (std::size_t i = 0; i < 8; ++i) sectors_ |= std::uint64_t{device_.configuration(i)} << 8 * i;
  device_.go();
  return nullptr;
}

bool VirtioBlock::is_read_only() const { return device_.has_feature(kFeatureReadOnly); }

const char* VirtioBlock::check(std::uint64_t sector, std::size_t size) const {
  if (size == 0 || size % kSectorBytes != 0 || size > kBlockBytesMax) return "not a number of sectors that fits one request";
  if (sector > sectors_ || size / kSectorBytes > sectors_ - sector) return "beyond the end of the disk";
  return nullptr;
}

const char* VirtioBlock::request(std::uint32_t type, std::uint64_t sector, std::size_t size, Direction direction) {
  if (broken_) return "the disk stopped answering";
  auto* const status = at_physical<volatile std::uint8_t>(buffer_ + kStatusAt);
  *at_physical<Request>(buffer_) = {type, 0, sector};
  *status = kNoAnswer;
  const VirtQueue::Part parts[] = {{buffer_, sizeof(Request), Direction::kToDevice},
                                   {buffer_ + kStatusAt, 1, Direction::kFromDevice},
                                   {buffer_ + kDataAt, static_cast<std::uint32_t>(size), direction}};
  const VirtQueue::Part in_order[] = {parts[0], parts[2], parts[1]};
  const bool added = size == 0 ? queue_.add({parts, 2}, 0) : queue_.add(in_order, 0);
  if (!added) return "the disk's queue is full";
  if (queue_.wants_notice()) device_.notify(0);
  const Instant end = now() + kAnswerMax;
  while (!queue_.take_done()) {
    if (now() > end) {
      broken_ = true;  // its late answer would go into the next request's buffer
      return "the disk does not answer";
    }
    relax();
  }
  switch (*status) {
    case kDone: return nullptr;
    case kUnsupported: return "the disk cannot do that";
    default: return "the disk reports an error";
  }
}

const char* VirtioBlock::read(std::uint64_t sector, std::span<std::byte> bytes) {
  if (const char* wrong = check(sector, bytes.size())) return wrong;
  if (const char* wrong = request(kRead, sector, bytes.size(), Direction::kFromDevice)) return wrong;
  std::memcpy(bytes.data(), at_physical(buffer_ + kDataAt), bytes.size());
  return nullptr;
}

const char* VirtioBlock::write(std::uint64_t sector, std::span<const std::byte> bytes) {
  if (is_read_only()) return "the disk is read-only";
  if (const char* wrong = check(sector, bytes.size())) return wrong;
  std::memcpy(at_physical(buffer_ + kDataAt), bytes.data(), bytes.size());
  return request(kWrite, sector, bytes.size(), Direction::kToDevice);
}

const char* VirtioBlock::flush() {
  if (!device_.has_feature(kFeatureFlush)) return nullptr;  // 5.2.6.2: without it, writes are final
  return request(kFlush, 0, 0, Direction::kToDevice);
}

}  // namespace rse::kernel
