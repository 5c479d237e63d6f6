// What the first frame of a link begins with, so that a stray connection is told apart from an older version.
#pragma once

#include <cstdint>

namespace rse {
inline constexpr std::uint32_t kHelloMagic = 0x31455352;  // "RSE1" as little-endian bytes
}  // namespace rse
