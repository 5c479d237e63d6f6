#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "guest_kernel/memory/frame_allocator.h"
#include "guest_kernel/memory/heap.h"
#include "guest_kernel/memory/lazy_ranges.h"
#include "guest_kernel/memory/page_mapper.h"
#include "guest_kernel/test/test.h"
#include "torus/base/random.h"

using namespace rse;
using namespace rse::kernel;

namespace {

constexpr std::size_t kFrames = 1024;

bool all_are(const void* bytes, std::size_t size, unsigned char value) {
  for (std::size_t i = 0; i < size; ++i) {
    if (static_cast<const unsigned char*>(bytes)[i] != value) return false;
  }
  return true;
}

/// 4 MiB of pretended physical memory, of which the first frame is never used.
struct Machine {
  Machine() {
    frames.start(bitmap);
    frames.add({0, kFrames * kPageBytes});
  }
  std::vector<std::uint64_t> bitmap = std::vector<std::uint64_t>(kFrames / 64);
  FrameAllocator frames;
  std::vector<std::byte> bytes = std::vector<std::byte>(kFrames * kPageBytes);
};

/// Ranges at addresses that are multiples of 64 KiB, out of one block.
class PlainRanges final : public RangeSource {
 public:
  std::byte* reserve(std::size_t size) override {
    const std::size_t chunks = (size + kChunkBytes - 1) / kChunkBytes;
    for (std::size_t first = 0; first + chunks <= kChunks; ++first) {
      std::size_t found = 0;
      while (found < chunks && !used_[first + found]) ++found;
      if (found < chunks) continue;
      for (std::size_t i = 0; i < chunks; ++i) used_[first + i] = true;
      std::memset(base() + first * kChunkBytes, 0, chunks * kChunkBytes);
      return base() + first * kChunkBytes;
    }
    return nullptr;
  }
  void release(std::byte* range, std::size_t size) override {
    const std::size_t first = static_cast<std::size_t>(range - base()) / kChunkBytes;
    for (std::size_t i = 0; i < (size + kChunkBytes - 1) / kChunkBytes; ++i) used_[first + i] = false;
  }
  std::size_t used_count() const {
    std::size_t count = 0;
    for (const bool used : used_) count += used;
    return count;
  }
  static constexpr std::size_t kChunks = 64;

 private:
  std::byte* base() {
    const auto address = reinterpret_cast<std::uintptr_t>(block_.data());
    return block_.data() + (kChunkBytes - address % kChunkBytes) % kChunkBytes;
  }
  std::vector<std::byte> block_ = std::vector<std::byte>((kChunks + 1) * kChunkBytes);
  std::vector<bool> used_ = std::vector<bool>(kChunks);
};

}  // namespace

TEST_CASE("frames: every frame is given once, comes back, and none is made up") {
  Machine machine;
  machine.frames.reserve({5 * kPageBytes + 1, 7 * kPageBytes});
  CHECK(machine.frames.free_count() == kFrames - 1 - 2);
  std::vector<bool> seen(kFrames);
  for (std::uint64_t frame = machine.frames.take(); frame != 0; frame = machine.frames.take()) {
    REQUIRE(!seen[frame / kPageBytes]);
    seen[frame / kPageBytes] = true;
  }
  CHECK(!seen[0]);
  CHECK(!seen[5]);
  CHECK(!seen[6]);
  CHECK(machine.frames.free_count() == 0);
  machine.frames.give(9 * kPageBytes);
  CHECK(machine.frames.take() == 9 * kPageBytes);
}

TEST_CASE("frames: what is promised cannot be taken by others") {
  Machine machine;
  CHECK_FALSE(machine.frames.promise(kFrames, 0));
  REQUIRE(machine.frames.promise(kFrames - 2, 1));
  CHECK(machine.frames.take() != 0);
  CHECK(machine.frames.take() == 0);
  CHECK(machine.frames.take_neighbours(2, 1) == 0);
  for (std::size_t i = 0; i < kFrames - 2; ++i) REQUIRE(machine.frames.take_promised() != 0);
  CHECK(machine.frames.promised_count() == 0);
}

TEST_CASE("frames: neighbours are aligned and together") {
  Machine machine;
  machine.frames.reserve({64 * kPageBytes, 65 * kPageBytes});
  CHECK(machine.frames.take_neighbours(64, 64) == 128 * kPageBytes);
  CHECK(machine.frames.take_neighbours(kFrames, 1) == 0);
}

TEST_CASE("pages: what is mapped translates, in small and large pages, and what is not does not") {
  Machine machine;
  PageMapper mapper(machine.frames, machine.bytes.data(), [](std::uint64_t) {});
  REQUIRE(mapper.start());
  const std::uint64_t at = kDirectMap + 3 * kLargePageBytes - kPageBytes;
  REQUIRE(mapper.map(at, kLargePageBytes - kPageBytes, kLargePageBytes + 2 * kPageBytes, PageRights::kReadWrite));
  for (std::uint64_t offset = 0; offset < kLargePageBytes + 2 * kPageBytes; offset += kPageBytes / 2) {
    REQUIRE(mapper.translate(at + offset) == kLargePageBytes - kPageBytes + offset);
  }
  CHECK_FALSE(mapper.translate(at - 1).has_value());
  CHECK_FALSE(mapper.translate(at + kLargePageBytes + 2 * kPageBytes).has_value());
  CHECK(mapper.unmap(at, kPageBytes, PageMapper::Frames::kKeep) == 1);
  CHECK_FALSE(mapper.translate(at).has_value());
}

TEST_CASE("pages: no frame for a table is an answer, not a crash") {
  Machine machine;
  PageMapper mapper(machine.frames, machine.bytes.data(), [](std::uint64_t) {});
  REQUIRE(mapper.start());
  while (machine.frames.free_count() > 2) machine.frames.take();
  CHECK_FALSE(mapper.map(kDirectMap, kPageBytes, kPageBytes, PageRights::kRead));
}

TEST_CASE("ranges: pages are backed when touched, zeroed, and given back; nobody is promised too much") {
  Machine machine;
  PageMapper mapper(machine.frames, machine.bytes.data(), [](std::uint64_t) {});
  REQUIRE(mapper.start());
  const auto ranges = std::make_unique<LazyRanges>(machine.frames, mapper, kHeapWindow, machine.bytes.data());
  std::memset(machine.bytes.data() + 64 * kPageBytes, 0xff, kPageBytes);
  std::byte* const range = ranges->reserve(100 * kPageBytes);
  REQUIRE(range != nullptr);
  const auto address = reinterpret_cast<std::uint64_t>(range);
  const std::size_t free_before = machine.frames.free_count();
  for (std::uint64_t page = 0; page < 100; page += 3) {
    REQUIRE(ranges->fault(address + page * kPageBytes + 5) == LazyRanges::Fault::kBacked);
    const auto physical = mapper.translate(address + page * kPageBytes);
    REQUIRE(physical.has_value());
    REQUIRE(all_are(machine.bytes.data() + *physical, kPageBytes, 0));
  }
  CHECK(ranges->fault(address + 100 * kPageBytes) == LazyRanges::Fault::kNotOurs);
  CHECK(ranges->fault(kHeapWindow - 1) == LazyRanges::Fault::kNotOurs);
  CHECK(ranges->reserve(900 * kPageBytes) == nullptr);
  CHECK(ranges->reserve(std::size_t{5} << 30) == nullptr);
  ranges->release(range, 100 * kPageBytes);
  CHECK(machine.frames.promised_count() == 0);
  CHECK(machine.frames.free_count() >= free_before - 4);  // page tables stay
  CHECK(ranges->fault(address) == LazyRanges::Fault::kNotOurs);
  CHECK(ranges->reserve(120 * kPageBytes) == range);  // the same class, the same place
}

TEST_CASE("heap: blocks of every size keep their bytes, whatever order they go in") {
  PlainRanges ranges;
  Heap heap(ranges);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    struct Block {
      unsigned char* bytes;
      std::size_t size;
      unsigned char mark;
    };
    std::vector<Block> blocks;
    for (int step = 0; step < 2000; ++step) {
      if (blocks.size() < 60 && random.below(5) < 3) {
        const std::size_t size = random.below(20) == 0 ? random.below(200000) : random.below(1200);
        const auto mark = static_cast<unsigned char>(step);
        auto* const bytes = static_cast<unsigned char*>(heap.allocate(size));
        if (bytes == nullptr) continue;
        REQUIRE(reinterpret_cast<std::uintptr_t>(bytes) % 16 == 0);
        std::memset(bytes, mark, size);
        blocks.push_back({bytes, size, mark});
      } else if (!blocks.empty()) {
        const std::size_t which = random.below(blocks.size());
        const Block block = blocks[which];
        REQUIRE(all_are(block.bytes, block.size, block.mark));
        heap.free(block.bytes);
        blocks[which] = blocks.back();
        blocks.pop_back();
      }
    }
    for (const Block& block : blocks) heap.free(block.bytes);
    CHECK(ranges.used_count() <= Heap::kSizes.size());  // one empty chunk a class
  }
}

TEST_CASE("heap: too much is refused, and zeroed blocks are zero even where others were") {
  PlainRanges ranges;
  Heap heap(ranges);
  CHECK(heap.allocate(PlainRanges::kChunks * kChunkBytes) == nullptr);
  CHECK(heap.allocate(~std::size_t{0}) == nullptr);
  void* const dirty = heap.allocate(1000);
  std::memset(dirty, 0xff, 1000);
  heap.free(dirty);
  auto* const clean = static_cast<unsigned char*>(heap.allocate_zeroed(1000));
  CHECK(clean == dirty);
  CHECK(all_are(clean, 1000, 0));
}
