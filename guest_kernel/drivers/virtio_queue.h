// One split virtqueue: buffers go to the device and come back. Virtual I/O Device (VIRTIO) 1.1, 2.6.
// Size: `count` descriptors, a power of two. Threads: one. Memory: the caller's, in the layout that legacy devices want, too
// (2.6.2: used ring on its own page). Errors: false when full. Invariant: what the device writes is believed only as far as it
// cannot do harm: unknown numbers are dropped, sizes are cut.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace rse::kernel {

class VirtQueue {
 public:
  static constexpr std::uint16_t kDescriptorsMax = 256;
  static std::size_t bytes_needed(std::uint16_t count);

  /// `memory`: zeroed, on a page, bytes_needed(count).
  void start(std::byte* memory, std::uint16_t count);

  struct Part {
    std::uint64_t physical;
    std::uint32_t size;
    enum class Direction : std::uint8_t { kToDevice, kFromDevice } direction;
  };
  /// `token` (below kDescriptorsMax) comes back with the buffer. False: not enough descriptors are free.
  bool add(std::span<const Part> parts, std::uint16_t token);
  struct Done {
    std::uint16_t token;
    std::uint32_t size;  // written by the device; at most the size of its parts
  };
  std::optional<Done> take_done();
  /// Whether take_done() has something to look at.
  bool has_done() const;
  /// Whether the device asked not to be told of new buffers.
  bool wants_notice() const;

  std::size_t available_offset() const;
  std::size_t used_offset() const;
  std::uint16_t free_count() const { return free_count_; }

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t size;
    std::uint16_t flags;
    std::uint16_t next;
  };
  static_assert(sizeof(Descriptor) == 16);
  struct Chain {
    std::uint16_t token = 0;
    std::uint16_t length = 0;  // descriptors; 0: no chain begins here
    std::uint32_t writable = 0;
  };
  volatile std::uint16_t* available() const;
  const volatile std::byte* used() const;

  std::byte* memory_ = nullptr;
  Descriptor* descriptors_ = nullptr;
  std::uint16_t count_ = 0;
  std::uint16_t free_ = 0;  // first of the free descriptors, linked by `next_`
  std::uint16_t free_count_ = 0;
  std::uint16_t available_index_ = 0;
  std::uint16_t used_index_ = 0;
  std::array<std::uint16_t, kDescriptorsMax> next_{};  // our own links: the device cannot touch them
  std::array<Chain, kDescriptorsMax> chains_{};
};

}  // namespace rse::kernel
