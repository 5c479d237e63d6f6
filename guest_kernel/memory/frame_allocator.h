// Physical memory by frames of 4 KiB: a bit each, and promises for memory that is backed only when it is touched.
// Size: one bit a frame, in memory of the caller's. Threads: the caller holds interrupts off. Memory: none of its own.
// Errors: 0 when there is none. Invariant: what has been promised can be taken, so a page fault never finds memory used up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest_kernel/boot/boot_info.h"

namespace rse::kernel {

class FrameAllocator {
 public:
  /// `bitmap` has a bit for each frame from address 0 on; all count as taken until add().
  void start(std::span<std::uint64_t> bitmap);
  /// The whole frames inside `range` become free; frame 0 never does. Frames that are free already stay so.
  void add(PhysicalRange range);
  /// Every frame that `range` touches is taken.
  void reserve(PhysicalRange range);

  /// A physical address, or 0: what is free has been promised. Lowest addresses first, roughly.
  std::uint64_t take();
  /// `count` neighbours starting at a multiple of `alignment` frames; searches from the bottom, for start-up and DMA.
  std::uint64_t take_neighbours(std::size_t count, std::size_t alignment);
  void give(std::uint64_t address);

  /// Sets `count` frames aside, leaving `spare` for others. False: not that many.
  bool promise(std::size_t count, std::size_t spare);
  void take_back_promise(std::size_t count);
  /// Never 0 while promises are out.
  std::uint64_t take_promised();

  std::size_t free_count() const { return free_; }
  std::size_t promised_count() const { return promised_; }
  /// The most that have been free at once: the memory there is to work with.
  std::size_t total_count() const { return total_; }

 private:
  std::uint64_t take_any();
  bool is_free(std::size_t frame) const { return (bitmap_[frame / 64] >> frame % 64 & 1) != 0; }
  void set(std::size_t frame, bool free);

  std::span<std::uint64_t> bitmap_;  // 1: free
  std::size_t next_word_ = 0;        // where the search goes on
  std::size_t free_ = 0;
  std::size_t promised_ = 0;
  std::size_t total_ = 0;
};

}  // namespace rse::kernel
