#include "guest_kernel/drivers/virtio_queue.h"

#include <algorithm>
#include <atomic>

#include "torus/base/assert.h"

namespace rse::kernel {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint16_t kNext = 1, kDeviceWrites = 2;
constexpr std::uint16_t kNoNotice = 1;
constexpr std::size_t kRingHead = 4;  // flags, index

std::size_t round_to_page(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

std::size_t VirtQueue::bytes_needed(std::uint16_t count) {
  return round_to_page(sizeof(Descriptor) * count + kRingHead + 2u * count + 2) + round_to_page(kRingHead + 8u * count + 2);
}

std::size_t VirtQueue::available_offset() const { return sizeof(Descriptor) * count_; }
std::size_t VirtQueue::used_offset() const { return round_to_page(available_offset() + kRingHead + 2u * count_ + 2); }

volatile std::uint16_t* VirtQueue::available() const {
  return reinterpret_cast<volatile std::uint16_t*>(memory_ + available_offset());
}
const volatile std::byte* VirtQueue::used() const { return memory_ + used_offset(); }

void VirtQueue::start(std::byte* memory, std::uint16_t count) {
  RSE_ASSERT(count != 0 && count <= kDescriptorsMax && (count & (count - 1)) == 0, "a power of two, not too large");
  memory_ = memory;
  descriptors_ = reinterpret_cast<Descriptor*>(memory);
  count_ = free_count_ = count;
  free_ = available_index_ = used_index_ = 0;
  for (std::uint16_t i = 0; i < count; ++i) next_[i] = static_cast<std::uint16_t>(i + 1);
  chains_ = {};
}

bool VirtQueue::add(std::span<const Part> parts, std::uint16_t token) {
  if (parts.empty() || parts.size() > free_count_) return false;
  const std::uint16_t head = free_;
  Chain& chain = chains_[head];
  chain = {token, static_cast<std::uint16_t>(parts.size()), 0};
  std::uint16_t at = head;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool writes = parts[i].direction == Part::Direction::kFromDevice;
    const bool last = i + 1 == parts.size();
    if (writes) chain.writable += parts[i].size;
    descriptors_[at] = {parts[i].physical, parts[i].size,
                        static_cast<std::uint16_t>((last ? 0 : kNext) | (writes ? kDeviceWrites : 0)), next_[at]};
    free_ = next_[at];
    if (!last) at = next_[at];
  }
  free_count_ = static_cast<std::uint16_t>(free_count_ - parts.size());
  available()[2 + available_index_ % count_] = head;
  std::atomic_thread_fence(std::memory_order_release);
  available()[1] = ++available_index_;
  std::atomic_thread_fence(std::memory_order_seq_cst);  // before wants_notice() is read
  return true;
}

bool VirtQueue::has_done() const { return *reinterpret_cast<const volatile std::uint16_t*>(used() + 2) != used_index_; }

std::optional<VirtQueue::Done> VirtQueue::take_done() {
  for (;;) {
    if (!has_done()) return std::nullopt;
    std::atomic_thread_fence(std::memory_order_acquire);
    const auto* const entry =
        reinterpret_cast<const volatile std::uint32_t*>(used() + kRingHead + 8u * (used_index_ % count_));
    const std::uint32_t head = entry[0];
    const std::uint32_t size = entry[1];
    ++used_index_;
    if (head >= count_ || chains_[head].length == 0) continue;  // never given to it
    const Chain chain = chains_[head];
    chains_[head].length = 0;
    auto last = static_cast<std::uint16_t>(head);
    for (std::uint16_t i = 1; i < chain.length; ++i) last = next_[last];
    next_[last] = free_;
    free_ = static_cast<std::uint16_t>(head);
    free_count_ = static_cast<std::uint16_t>(free_count_ + chain.length);
    return Done{chain.token, std::min(size, chain.writable)};
  }
}

bool VirtQueue::wants_notice() const {
  return (*reinterpret_cast<const volatile std::uint16_t*>(used()) & kNoNotice) == 0;
}

}  // namespace rse::kernel
