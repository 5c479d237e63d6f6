#include "guest_kernel/memory/kernel_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/memory/frame_allocator.h"
#include "guest_kernel/memory/heap.h"
#include "guest_kernel/memory/lazy_ranges.h"
#include "guest_kernel/runtime/panic.h"
#include "guest_kernel/runtime/print.h"

// From kernel.ld.
extern "C" const std::byte text_begin[], rodata_begin[], data_begin[], image_end[];
extern "C" const std::byte image_physical_begin[], image_physical_end[];

namespace rse::kernel {
namespace {

constexpr std::uint64_t kLowMemoryEnd = 1u << 20;              // firmware's, and later the other processors' first steps
constexpr std::uint64_t kBootMapped = std::uint64_t{4} << 30;  // boot/entry.S: what can be reached before start_memory()

FrameAllocator frames;
PageMapper mapper(frames, reinterpret_cast<std::byte*>(kDirectMap), forget_page);
LazyRanges ranges(frames, mapper, kHeapWindow, reinterpret_cast<std::byte*>(kDirectMap));
Heap heap(ranges);
std::uint64_t next_device = kDeviceWindow;
std::uint64_t next_stack = kStackWindow;

std::uint64_t address_of(const std::byte* symbol) { return reinterpret_cast<std::uint64_t>(symbol); }

PhysicalRange image_range() { return {address_of(image_physical_begin), address_of(image_physical_end)}; }

bool overlaps(PhysicalRange a, PhysicalRange b) { return a.begin < b.end && b.begin < a.end; }

bool is_taken(const BootInfo& info, PhysicalRange range) {
  if (overlaps(range, image_range()) || overlaps(range, info.tables)) return true;
  for (std::size_t i = 0; i < info.module_count; ++i) {
    if (overlaps(range, info.modules[i])) return true;
  }
  return false;
}

/// The lowest place for the frames' bitmap that is RAM, reachable and nobody's.
PhysicalRange place_for_bitmap(const BootInfo& info, std::uint64_t size) {
  for (std::size_t i = 0; i < info.usable_count; ++i) {
    std::uint64_t begin = round_up(std::max(info.usable[i].begin, kLowMemoryEnd), kPageBytes);
    for (; begin + size <= std::min(info.usable[i].end, kBootMapped); begin += kPageBytes) {
      if (!is_taken(info, {begin, begin + size})) return {begin, begin + size};
    }
  }
  panic("memory", "no room for the frames' bitmap; give the machine more memory");
}

std::uint64_t end_of_ram(const BootInfo& info) {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < info.usable_count; ++i) end = std::max(end, info.usable[i].end);
  return end;
}

void start_frames(const BootInfo& info, std::uint64_t limit_bytes) {
  const std::uint64_t words = round_up(end_of_ram(info) / kPageBytes, 64) / 64;
  const PhysicalRange bitmap = place_for_bitmap(info, round_up(words * 8, kPageBytes));
  frames.start({at_physical<std::uint64_t>(bitmap.begin), words});
  std::uint64_t left = limit_bytes == 0 ? ~std::uint64_t{0} : limit_bytes;
  for (std::size_t i = 0; i < info.usable_count && left != 0; ++i) {
    PhysicalRange range = info.usable[i];
    range.begin = std::max(range.begin, kLowMemoryEnd);
    if (range.begin >= range.end) continue;
    range.end = range.begin + std::min(range.size(), left);
    left -= range.size();
    frames.add(range);
  }
  frames.reserve(image_range());
  frames.reserve(bitmap);
  frames.reserve(info.tables);
  for (std::size_t i = 0; i < info.module_count; ++i) frames.reserve(info.modules[i]);
}

void map_or_panic(std::uint64_t address, std::uint64_t physical, std::uint64_t size, PageRights rights) {
  if (!mapper.map(address, physical, size, rights)) panic("memory", "too little even for the page tables; give the machine more");
}

void map_image(const std::byte* begin, const std::byte* end, PageRights rights) {
  map_or_panic(address_of(begin), address_of(begin) - kKernelBase, address_of(end) - address_of(begin), rights);
}

}  // namespace

void start_memory(const BootInfo& info, std::uint64_t limit_bytes) {
  start_frames(info, limit_bytes);
  if (!mapper.start()) panic("memory", "the boot map lists none that is free");
  map_image(text_begin, rodata_begin, PageRights::kReadExecute);
  map_image(rodata_begin, data_begin, PageRights::kRead);
  map_image(data_begin, image_end, PageRights::kReadWrite);
  // All RAM, and everything below 4 GiB, where firmware keeps its tables. The first page stays out: null pointers fault,
  // as physical addresses too.
  const std::uint64_t direct_end = std::max(round_up(end_of_ram(info), kLargePageBytes), kBootMapped);
  map_or_panic(kDirectMap + kPageBytes, kPageBytes, kLargePageBytes - kPageBytes, PageRights::kReadWrite);
  map_or_panic(kDirectMap + kLargePageBytes, kLargePageBytes, direct_end - kLargePageBytes, PageRights::kReadWrite);
  write_cr3(mapper.root());
  set_stack_check(is_mapped);
}

std::byte* map_device(PhysicalRange range, PageCaching caching) {
  const InterruptsOff off;
  const std::uint64_t begin = round_down(range.begin, kPageBytes);
  const std::uint64_t size = round_up(range.end, kPageBytes) - begin;
  // The same place within 2 MiB as the device's, so that large pages can be used.
  const std::uint64_t address = round_up(next_device, kLargePageBytes) + begin % kLargePageBytes;
  if (!mapper.map(address, begin, size, PageRights::kReadWrite, caching)) return nullptr;
  next_device = address + size + kPageBytes;
  return reinterpret_cast<std::byte*>(address + range.begin % kPageBytes);
}

std::uint64_t make_stack(std::size_t size) {
  const InterruptsOff off;
  const std::uint64_t begin = next_stack + kPageBytes;
  size = round_up(size, kPageBytes);
  for (std::uint64_t page = begin; page < begin + size; page += kPageBytes) {
    const std::uint64_t frame = frames.take();
    if (frame == 0 || !mapper.map(page, frame, kPageBytes, PageRights::kReadWrite)) return 0;
  }
  next_stack = begin + size;
  return begin + size;
}

std::uint64_t take_dma_memory(std::size_t size) {
  const InterruptsOff off;
  size = round_up(size, kPageBytes);
  const std::uint64_t physical = frames.take_neighbours(size / kPageBytes, 1);
  if (physical != 0) std::memset(at_physical(physical), 0, size);
  return physical;
}

bool back_page(std::uint64_t address) {
  switch (ranges.fault(address)) {
    case LazyRanges::Fault::kBacked: return true;
    case LazyRanges::Fault::kNotOurs: return false;
    case LazyRanges::Fault::kNoTable: panic("memory", "no frame for a page table; give the machine more memory");
  }
  return false;
}

bool is_mapped(std::uint64_t address) { return mapper.translate(address).has_value(); }

MemoryUse memory_use() {
  return {frames.total_count() * kPageBytes, frames.free_count() * kPageBytes, frames.promised_count() * kPageBytes,
          heap.reserved_bytes()};
}

void* allocate_or_panic(std::size_t size) {
  void* const block = std::malloc(size);
  if (block != nullptr) [[likely]] return block;
  const MemoryUse use = memory_use();
  print_line("\nmemory: asked_bytes=", size, " free_bytes=", use.free_bytes, " of_those_promised_bytes=", use.promised_bytes,
             " heap_bytes=", use.heap_bytes, " total_bytes=", use.total_bytes);
  panic("out of memory", "give the machine more (qemu -m), raise the kernel option memory=, or load a smaller scenario");
}

}  // namespace rse::kernel

using rse::kernel::heap;
using rse::kernel::InterruptsOff;

extern "C" void* malloc(std::size_t size) {
  const InterruptsOff off;
  return heap.allocate(size);
}
extern "C" void* calloc(std::size_t count, std::size_t size) {
  const InterruptsOff off;
  std::size_t bytes = 0;
  return __builtin_mul_overflow(count, size, &bytes) ? nullptr : heap.allocate_zeroed(bytes);
}
extern "C" void free(void* block) {
  const InterruptsOff off;
  heap.free(block);
}
