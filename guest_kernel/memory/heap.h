// The kernel's heap: small blocks by size class out of 64 KiB chunks, large ones as ranges of their own.
// Size: bounded by the memory promised by the source. Threads: the caller holds interrupts off. Memory: 64 bytes a chunk or range.
// Errors: nullptr. Invariant: each block's chunk or range begins at a multiple of 64 KiB with a header that says what it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace rse::kernel {

inline constexpr std::size_t kChunkBytes = 64u << 10;

/// Where the heap gets memory: zeroed, at multiples of kChunkBytes, perhaps backed only when touched.
class RangeSource {
 public:
  virtual std::byte* reserve(std::size_t size) = 0;  // nullptr: there is not that much
  virtual void release(std::byte* range, std::size_t size) = 0;

 protected:
  ~RangeSource() = default;
};

class Heap {
 public:
  explicit Heap(RangeSource& source) : source_(source) {}

  /// 16-aligned; nullptr: no memory. Size 0 gives a block, too.
  void* allocate(std::size_t size);
  /// Also all zero; large blocks come so from the source and are not written.
  void* allocate_zeroed(std::size_t size);
  /// nullptr does nothing. A pointer that is no block stops the kernel.
  void free(void* block);

  /// What chunks and ranges take from the source, headers included.
  std::size_t reserved_bytes() const { return reserved_; }

  static constexpr std::size_t kSmallMax = 16256;  // four in a chunk
  static constexpr std::array<std::uint16_t, 20> kSizes = {16,  32,  48,   64,   96,   128,  192,  256,  384,   512,
                                                           768, 1024, 1536, 2048, 3072, 4032, 6080, 8128, 10816, 16256};

 private:
  struct Free {
    Free* next;
  };
  struct alignas(64) Header {
    std::uint32_t magic;
    std::uint32_t size_class;  // index into kSizes; kLarge: one block
    std::uint64_t size;        // large: asked for
    Free* free;                // small: blocks given back
    std::uint32_t used;        // small: blocks in use
    std::uint32_t fresh;       // small: blocks never used, from this index on
    Header* next;              // small: chunks of this class with room
    Header* previous;
  };
  static_assert(sizeof(Header) == 64);

  void* allocate_small(std::size_t size_class);
  void* allocate_large(std::size_t size);
  Header* add_chunk(std::size_t size_class);
  void link(Header& chunk);
  void unlink(Header& chunk);
  static Header& header_of(const void* block);
  static std::size_t blocks_in_chunk(std::size_t size_class);

  RangeSource& source_;
  std::array<Header*, kSizes.size()> with_room_{};
  std::size_t reserved_ = 0;
};

// --- The kernel's one heap; the C functions malloc(), calloc() and free() are it, too. ---

/// The block, or the end: out of memory is reported with what is in use and what would help.
void* allocate_or_panic(std::size_t size);

}  // namespace rse::kernel
