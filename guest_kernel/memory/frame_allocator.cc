#include "guest_kernel/memory/frame_allocator.h"

#include <algorithm>
#include <bit>

#include "guest_kernel/memory/layout.h"
#include "torus/base/assert.h"

namespace rse::kernel {

void FrameAllocator::start(std::span<std::uint64_t> bitmap) {
  *this = {};
  bitmap_ = bitmap;
  std::ranges::fill(bitmap_, 0);
}

void FrameAllocator::set(std::size_t frame, bool free) {
  const std::uint64_t bit = std::uint64_t{1} << frame % 64;
  bitmap_[frame / 64] = free ? bitmap_[frame / 64] | bit : bitmap_[frame / 64] & ~bit;
  free_ = free ? free_ + 1 : free_ - 1;
}

void FrameAllocator::add(PhysicalRange range) {
  const std::size_t begin = std::max<std::uint64_t>(round_up(range.begin, kPageBytes) / kPageBytes, 1);
  const std::size_t end = std::min<std::uint64_t>(range.end / kPageBytes, bitmap_.size() * 64);
  for (std::size_t frame = begin; frame < end; ++frame) {
    if (frame % 64 == 0 && end - frame >= 64 && bitmap_[frame / 64] == 0) {
      bitmap_[frame / 64] = ~std::uint64_t{0};
      free_ += 64;
      frame += 63;
    } else if (!is_free(frame)) {
      set(frame, true);
    }
  }
  total_ = std::max(total_, free_);
}

void FrameAllocator::reserve(PhysicalRange range) {
  const std::size_t end = std::min<std::uint64_t>(round_up(range.end, kPageBytes) / kPageBytes, bitmap_.size() * 64);
  for (std::size_t frame = range.begin / kPageBytes; frame < end; ++frame) {
    if (is_free(frame)) set(frame, false);
  }
}

std::uint64_t FrameAllocator::take_any() {
  for (std::size_t looked = 0; looked <= bitmap_.size(); ++looked) {
    if (bitmap_[next_word_] != 0) {
      const std::size_t frame = next_word_ * 64 + static_cast<std::size_t>(std::countr_zero(bitmap_[next_word_]));
      set(frame, false);
      return frame * kPageBytes;
    }
    next_word_ = (next_word_ + 1) % bitmap_.size();
  }
  return 0;
}

std::uint64_t FrameAllocator::take() { return free_ <= promised_ ? 0 : take_any(); }

std::uint64_t FrameAllocator::take_neighbours(std::size_t count, std::size_t alignment) {
  if (free_ < promised_ + count) return 0;
  const std::size_t end = bitmap_.size() * 64;
  for (std::size_t first = alignment; first + count <= end; first += alignment) {
    std::size_t found = 0;
    while (found < count && is_free(first + found)) ++found;
    if (found < count) continue;
    for (std::size_t i = 0; i < count; ++i) set(first + i, false);
    return first * kPageBytes;
  }
  return 0;
}

void FrameAllocator::give(std::uint64_t address) {
  const std::size_t frame = address / kPageBytes;
  RSE_ASSERT(address % kPageBytes == 0 && frame != 0 && frame < bitmap_.size() * 64, "not a frame of RAM");
  RSE_ASSERT(!is_free(frame), "a frame was given back twice");
  set(frame, true);
  next_word_ = std::min(next_word_, frame / 64);
}

bool FrameAllocator::promise(std::size_t count, std::size_t spare) {
  const std::size_t unpromised = free_ - promised_;
  if (unpromised < spare || unpromised - spare < count) return false;
  promised_ += count;
  return true;
}

void FrameAllocator::take_back_promise(std::size_t count) {
  RSE_ASSERT(count <= promised_, "more was taken back than promised");
  promised_ -= count;
}

std::uint64_t FrameAllocator::take_promised() {
  RSE_ASSERT(promised_ != 0, "memory was touched that nobody had been promised");
  --promised_;
  return take_any();
}

}  // namespace rse::kernel
