#include "guest_kernel/drivers/virtio_queue.h"

#include <cstring>
#include <vector>

#include "guest_kernel/test/test.h"
#include "torus/base/random.h"

using namespace rse;
using namespace rse::kernel;
using Direction = VirtQueue::Part::Direction;

namespace {

constexpr std::uint16_t kCount = 16;

/// Reads and writes the rings as a device does.
class PretendedDevice {
 public:
  PretendedDevice() {
    memory_.resize(VirtQueue::bytes_needed(kCount) + 4096);
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    base_ = memory_.data() + (4096 - address % 4096) % 4096;
    queue.start(base_, kCount);
  }
  /// The next buffer's first descriptor; -1: none.
  int take() {
    if (get<std::uint16_t>(queue.available_offset() + 2) == seen_) return -1;
    return get<std::uint16_t>(queue.available_offset() + 4 + 2 * (seen_++ % kCount));
  }
  std::size_t length(int head) const {
    std::size_t length = 1;
    while ((get<std::uint16_t>(16 * static_cast<std::size_t>(head) + 12) & 1) != 0) {
      head = get<std::uint16_t>(16 * static_cast<std::size_t>(head) + 14);
      ++length;
    }
    return length;
  }
  void give_back(std::uint32_t head, std::uint32_t size) {
    const std::size_t place = queue.used_offset() + 4 + 8 * (done_ % kCount);
    put(place, head);
    put(place + 4, size);
    put(queue.used_offset() + 2, ++done_);
  }
  template <class T>
  T get(std::size_t at) const {
    T value;
    std::memcpy(&value, base_ + at, sizeof value);
    return value;
  }
  template <class T>
  void put(std::size_t at, T value) { std::memcpy(base_ + at, &value, sizeof value); }

  VirtQueue queue;

 private:
  std::vector<std::byte> memory_;
  std::byte* base_ = nullptr;
  std::uint16_t seen_ = 0;
  std::uint16_t done_ = 0;
};

}  // namespace

TEST_CASE("virtio queue: buffers of any length come back with their tokens, in any order, for ever") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    PretendedDevice device;
    std::vector<int> held;            // heads that the device has
    std::vector<int> token_of(kCount, -1);
    std::vector<bool> out(64);
    std::size_t descriptors = 0;
    for (int step = 0; step < 70'000; ++step) {
      if (random.below(2) == 0) {
        const std::size_t length = 1 + random.below(4);
        const auto token = static_cast<std::uint16_t>(random.below(64));
        if (out[token]) continue;
        std::vector<VirtQueue::Part> parts(length, {0x1000, 100, Direction::kFromDevice});
        const bool added = device.queue.add(parts, token);
        REQUIRE(added == (descriptors + length <= kCount));
        if (!added) continue;
        descriptors += length;
        const int head = device.take();
        REQUIRE(head >= 0);
        REQUIRE(device.length(head) == length);
        held.push_back(head);
        token_of[static_cast<std::size_t>(head)] = token;
        out[token] = true;
      } else if (!held.empty()) {
        const std::size_t which = random.below(static_cast<std::uint32_t>(held.size()));
        const int head = held[which];
        descriptors -= device.length(head);
        device.give_back(static_cast<std::uint32_t>(head), 5);
        held[which] = held.back();
        held.pop_back();
        const auto done = device.queue.take_done();
        REQUIRE(done.has_value());
        REQUIRE(done->token == token_of[static_cast<std::size_t>(head)]);
        REQUIRE(done->size == 5);
        out[done->token] = false;
      }
    }
    CHECK(device.queue.free_count() == kCount - descriptors);
  }
}

TEST_CASE("virtio queue: a device that returns what it never got, twice, or too much does no harm") {
  PretendedDevice device;
  const VirtQueue::Part parts[] = {{0x1000, 16, Direction::kToDevice}, {0x2000, 100, Direction::kFromDevice}};
  REQUIRE(device.queue.add(parts, 7));
  const int head = device.take();
  device.give_back(9, 1);
  device.give_back(0xffffffff, 1);
  CHECK_FALSE(device.queue.take_done().has_value());
  device.give_back(static_cast<std::uint32_t>(head), 0xffffffff);
  device.give_back(static_cast<std::uint32_t>(head), 4);
  const auto done = device.queue.take_done();
  REQUIRE(done.has_value());
  CHECK(done->token == 7);
  CHECK(done->size == 100);
  CHECK_FALSE(device.queue.take_done().has_value());
  CHECK(device.queue.free_count() == kCount);
}
