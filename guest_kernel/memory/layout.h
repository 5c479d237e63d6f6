// The kernel's half of the address space. Nothing else knows these numbers; kernel.ld and boot/entry.S repeat the base.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rse::kernel {

inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kLargePageBytes = 2u << 20;

inline constexpr std::uint64_t kDirectMap = 0xffff800000000000;     // physical p at kDirectMap + p
inline constexpr std::uint64_t kHeapWindow = 0xffffa00000000000;    // memory/lazy_ranges.h
inline constexpr std::uint64_t kDeviceWindow = 0xffffc00000000000;  // registers and shared memory of devices
inline constexpr std::uint64_t kStackWindow = 0xffffd00000000000;   // stacks between unmapped pages
inline constexpr std::uint64_t kKernelBase = 0xffffffff80000000;    // the image

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }
constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t unit) { return value / unit * unit; }

}  // namespace rse::kernel
