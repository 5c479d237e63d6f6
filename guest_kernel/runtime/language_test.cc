#include <array>
#include <cstdint>
#include <cstring>

#include "guest_kernel/test/test.h"

namespace {

constexpr std::size_t kSizeMax = 100;  // some blocks, some words, some bytes
constexpr std::size_t kOffsetMax = 9;  // of each end from a whole word
constexpr std::size_t kRoom = kSizeMax + 2 * kOffsetMax;
using Room = std::array<unsigned char, kRoom>;

// Through pointers that the compiler does not see through, or it puts its own code here.
void* (*volatile copy)(void*, const void*, std::size_t) = std::memcpy;
void* (*volatile move)(void*, const void*, std::size_t) = std::memmove;
void* (*volatile fill)(void*, int, std::size_t) = std::memset;
int (*volatile compare)(const void*, const void*, std::size_t) = std::memcmp;

Room numbered() {
  Room room;
  for (std::size_t i = 0; i < kRoom; ++i) room[i] = static_cast<unsigned char>(i * 7 + 1);
  return room;
}

bool same(const Room& a, const Room& b) {
  for (std::size_t i = 0; i < kRoom; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

/// Byte by byte, out of a copy of what was there.
Room moved_slowly(const Room& room, std::size_t to, std::size_t from, std::size_t size) {
  Room moved = room;
  for (std::size_t i = 0; i < size; ++i) moved[to + i] = room[from + i];
  return moved;
}

}  // namespace

TEST_CASE("language: memory is moved as byte by byte, at any offset and size, also onto itself") {
  const Room before = numbered();
  for (std::size_t size = 0; size <= kSizeMax; ++size) {
    for (std::size_t to = 0; to <= kOffsetMax; ++to) {
      for (std::size_t from = 0; from <= kOffsetMax; ++from) {
        Room room = before;
        REQUIRE(move(room.data() + to, room.data() + from, size) == room.data() + to);
        REQUIRE(same(room, moved_slowly(before, to, from, size)));
      }
    }
  }
}

TEST_CASE("language: memory is copied, filled and compared as byte by byte, and nothing around it is touched") {
  const Room before = numbered();
  for (std::size_t size = 0; size <= kSizeMax; ++size) {
    for (std::size_t at = 0; at <= kOffsetMax; ++at) {
      Room room{};
      REQUIRE(copy(room.data() + at, before.data() + kOffsetMax - at, size) == room.data() + at);
      Room expected{};
      for (std::size_t i = 0; i < size; ++i) expected[at + i] = before[kOffsetMax - at + i];
      REQUIRE(same(room, expected));
      REQUIRE(compare(room.data() + at, before.data() + kOffsetMax - at, size) == 0);
      if (size != 0) {
        ++room[at + size - 1];
        REQUIRE((compare(room.data() + at, expected.data() + at, size) > 0) == (room[at + size - 1] != 0));
      }
      REQUIRE(fill(room.data() + at, 0x1A5, size) == room.data() + at);
      for (std::size_t i = 0; i < size; ++i) expected[at + i] = 0xA5;
      REQUIRE(same(room, expected));
    }
  }
}
