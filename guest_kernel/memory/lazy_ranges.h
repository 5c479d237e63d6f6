// Ranges of kernel addresses that get frames only when they are touched: what a torus reserves and never uses costs
// nothing, and freed memory goes back at once. The memory is promised when a range is reserved, so a touch cannot fail.
// Addresses: one part of the window for each power of two from 64 KiB to 4 GiB, at most 4 GiB of ranges in each.
// Size: 8 bytes a slot, 1 MiB. Threads: the caller holds interrupts off; fault() runs in the page fault handler.
// Errors: reserve() gives nullptr; fault() is false for an address that is in no range. Invariant: freed ranges fault.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest_kernel/memory/frame_allocator.h"
#include "guest_kernel/memory/heap.h"
#include "guest_kernel/memory/page_mapper.h"

namespace rse::kernel {

inline constexpr std::size_t kRangeClasses = 17;                       // 64 KiB << 0..16
inline constexpr std::uint64_t kRangeClassSpan = std::uint64_t{4} << 30;  // addresses of each class

class LazyRanges final : public RangeSource {
 public:
  /// `base`: the window's first address, a multiple of 4 GiB. `direct_map`: where frames can be zeroed.
  LazyRanges(FrameAllocator& frames, PageMapper& mapper, std::uint64_t base, std::byte* direct_map)
      : frames_(frames), mapper_(mapper), base_(base), direct_map_(direct_map) {}

  std::byte* reserve(std::size_t size) override;
  void release(std::byte* range, std::size_t size) override;

  enum class Fault : std::uint8_t { kBacked, kNotOurs, kNoTable };
  /// Backs the page of `address`. kNotOurs: nobody reserved it. kNoTable: no frame for a page table.
  Fault fault(std::uint64_t address);

 private:
  struct Slot {
    std::uint32_t pages;  // reserved; 0: free
    std::uint32_t next;   // free: the next free one + 1; reserved: pages backed
  };
  struct Class {
    std::uint32_t free = 0;   // first free slot + 1
    std::uint32_t fresh = 0;  // never used, from here on
  };
  static constexpr std::size_t kSlots = 2u << 16;  // 65,536 + 32,768 + ... + 1
  static std::size_t class_of(std::size_t size);
  static std::size_t slots_of(std::size_t range_class) { return std::size_t{65536} >> range_class; }
  Slot& slot(std::size_t range_class, std::size_t index);
  std::uint64_t address_of(std::size_t range_class, std::size_t index) const;
  std::size_t spare_frames() const { return frames_.total_count() / 128 + 64; }  // for page tables

  FrameAllocator& frames_;
  PageMapper& mapper_;
  std::uint64_t base_;
  std::byte* direct_map_;
  std::array<Class, kRangeClasses> classes_{};
  std::array<Slot, kSlots> slots_{};
};

}  // namespace rse::kernel
