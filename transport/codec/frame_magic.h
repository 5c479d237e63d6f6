// What frames that are no envelopes begin with: the first of a link, so that a stray connection is told apart from an older
// version, and what goes beside the braid's messages.
#pragma once

#include <cstdint>

namespace rse {
inline constexpr std::uint32_t kHelloMagic = 0x31455352;   // "RSE1" as little-endian bytes
inline constexpr std::uint32_t kSightMagic = 0x4C455352;   // "RSEL"
inline constexpr std::uint32_t kReportMagic = 0x49455352;  // "RSEI"
inline constexpr std::uint32_t kAddressMagic = 0x41455352;  // "RSEA"
}  // namespace rse
