// The one block of memory that a torus's pools are carved from.
// Size: fixed when made. Threads: none. Memory: zeroed and lazily backed: a page nobody writes
// costs nothing, so an idle torus is small and a killed process's memory is freed quickly. Errors:
// no address space stops the program. Invariant: every pool starts on a cache line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "torus/base/assert.h"

namespace rse {

/// Hands out consecutive pools of a block; with no block it only adds up how large the block has to
/// be.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}
  template <class T>
  void carve(T*& pool, std::size_t count) {
    pool = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + size_);
    size_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }
  std::size_t size() const { return size_; }

  static constexpr std::size_t kAlignment = 64;

 private:
  std::byte* base_;
  std::size_t size_ = 0;
};

class Arena {
 public:
  Arena() = default;
  ~Arena() { std::free(block_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Reserves `size` zeroed bytes, once. calloc() takes blocks of this size from fresh pages
  /// without writing them.
  std::byte* reserve(std::size_t size) {
    RSE_ASSERT(block_ == nullptr, "an arena is reserved once");
    block_ = std::calloc(1, size + Carver::kAlignment);
    RSE_ASSERT(block_ != nullptr, "no memory for the torus; choose a smaller capacity");
    size_ = size;
    const auto address = reinterpret_cast<std::uintptr_t>(block_);
    return static_cast<std::byte*>(block_) +
           (Carver::kAlignment - address % Carver::kAlignment) % Carver::kAlignment;
  }
  std::size_t size() const { return size_; }

 private:
  void* block_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace rse
