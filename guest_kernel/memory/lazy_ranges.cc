#include "guest_kernel/memory/lazy_ranges.h"

#include <bit>
#include <cstring>

#include "guest_kernel/memory/layout.h"
#include "torus/base/assert.h"

namespace rse::kernel {

std::size_t LazyRanges::class_of(std::size_t size) {
  const std::size_t chunks = (size + kChunkBytes - 1) / kChunkBytes;
  return static_cast<std::size_t>(std::bit_width(chunks - 1));
}

LazyRanges::Slot& LazyRanges::slot(std::size_t range_class, std::size_t index) {
  // Class c begins after the 65,536 + 32,768 + ... slots of those before it.
  return slots_[2 * (std::size_t{65536} - slots_of(range_class)) + index];
}

std::uint64_t LazyRanges::address_of(std::size_t range_class, std::size_t index) const {
  return base_ + range_class * kRangeClassSpan + (index * kChunkBytes << range_class);
}

std::byte* LazyRanges::reserve(std::size_t size) {
  if (size == 0 || size > kRangeClassSpan) return nullptr;
  const std::size_t range_class = class_of(size);
  Class& slots = classes_[range_class];
  const std::uint32_t index = slots.free != 0 ? slots.free - 1 : slots.fresh;
  if (index >= slots_of(range_class)) return nullptr;
  const std::size_t pages = round_up(size, kPageBytes) / kPageBytes;
  if (!frames_.promise(pages, spare_frames())) return nullptr;
  Slot& taken = slot(range_class, index);
  if (slots.free != 0) {
    slots.free = taken.next;
  } else {
    ++slots.fresh;
  }
  taken = {static_cast<std::uint32_t>(pages), 0};
  return reinterpret_cast<std::byte*>(address_of(range_class, index));
}

void LazyRanges::release(std::byte* range, std::size_t size) {
  const std::size_t range_class = class_of(size);
  const auto address = reinterpret_cast<std::uint64_t>(range);
  const auto index = static_cast<std::uint32_t>((address - address_of(range_class, 0)) / (kChunkBytes << range_class));
  Slot& freed = slot(range_class, index);
  RSE_ASSERT(freed.pages == round_up(size, kPageBytes) / kPageBytes && address_of(range_class, index) == address,
             "a range was released that is not reserved");
  const std::size_t backed = mapper_.unmap(address, freed.pages * kPageBytes, PageMapper::Frames::kGive);
  RSE_ASSERT(backed == freed.next, "a range lost or gained pages");
  frames_.take_back_promise(freed.pages - backed);
  freed = {0, classes_[range_class].free};
  classes_[range_class].free = index + 1;
}

LazyRanges::Fault LazyRanges::fault(std::uint64_t address) {
  if (address < base_ || address - base_ >= kRangeClasses * kRangeClassSpan) return Fault::kNotOurs;
  const std::size_t range_class = (address - base_) / kRangeClassSpan;
  const std::uint64_t offset = (address - base_) % kRangeClassSpan;
  const std::size_t index = offset / (kChunkBytes << range_class);
  Slot& touched = slot(range_class, index);
  const std::uint64_t page = offset % (kChunkBytes << range_class) / kPageBytes;
  if (page >= touched.pages) return Fault::kNotOurs;
  const std::uint64_t frame = frames_.take_promised();
  std::memset(direct_map_ + frame, 0, kPageBytes);
  if (!mapper_.map(round_down(address, kPageBytes), frame, kPageBytes, PageRights::kReadWrite)) return Fault::kNoTable;
  ++touched.next;
  return Fault::kBacked;
}

}  // namespace rse::kernel
