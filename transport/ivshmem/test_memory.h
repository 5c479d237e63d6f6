// A region in a test's own memory, and messages whose bytes tell whether they are what was sent.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "torus/base/assert.h"
#include "torus/base/bytes.h"
#include "torus/base/random.h"
#include "transport/ivshmem/layout.h"

namespace rse::testing {

class TestMemory {
 public:
  explicit TestMemory(std::size_t size = kRegionBytesMin) : size_(size), bytes_(allocate(size)) {
    std::memset(bytes_.get(), 0, size_);
    region().format(1);
  }
  std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }
  RingRegion region() const {
    const auto region = RingRegion::over(bytes());
    RSE_ASSERT(region.has_value(), "test memory is too small");
    return *region;
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  static std::byte* allocate(std::size_t size) {
    return static_cast<std::byte*>(std::aligned_alloc(4096, (size + 4095) / 4096 * 4096));
  }
  std::size_t size_;
  std::unique_ptr<std::byte, Free> bytes_;
};

/// A message that begins with its number; the rest follows from the number.
inline Bytes numbered(std::uint64_t number, std::size_t size) {
  Bytes message(size);
  Random random(number);
  for (std::size_t at = 0; at < size; at += 8) {
    const std::uint64_t word = at == 0 ? number : random.next();
    std::memcpy(message.data() + at, &word, std::min<std::size_t>(8, size - at));
  }
  return message;
}
inline std::uint64_t number_of(std::span<const std::byte> message) {
  std::uint64_t number = 0;
  std::memcpy(&number, message.data(), std::min<std::size_t>(8, message.size()));
  return number;
}
inline bool intact(std::span<const std::byte> message) {
  const Bytes expected = numbered(number_of(message), message.size());
  return std::memcmp(expected.data(), message.data(), message.size()) == 0;
}

}  // namespace rse::testing
