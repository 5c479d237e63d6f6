#include "transport/ivshmem/checked_copy.h"

#include <cstring>

namespace rse {
namespace {

using Lane = std::uint64_t __attribute__((vector_size(16)));
// What is copied may lie anywhere and be of any type.
using LooseLane = std::uint64_t __attribute__((vector_size(16), aligned(1), may_alias));

constexpr std::size_t kBlockBytes = 64;

struct Sums {
  Lane plain[4] = {};
  Lane running[4] = {};
  void add(const std::byte* from, std::byte* to) {
    for (int i = 0; i < 4; ++i) {
      const Lane value = *reinterpret_cast<const LooseLane*>(from + 16 * i);
      *reinterpret_cast<LooseLane*>(to + 16 * i) = value;
      plain[i] += value;
      running[i] += plain[i];
    }
  }
  std::uint64_t fold(std::uint64_t seed) const {
    // Eight independent products of 128 bits, so that the processor works on several at once.
    std::uint64_t sum = 0;
    std::uint64_t key = seed | 1;
    for (int i = 0; i < 4; ++i) {
      for (int k = 0; k < 2; ++k) {
        key += 0x9E3779B97F4A7C15;
        const auto product = static_cast<unsigned __int128>(plain[i][k] ^ key) * (running[i][k] ^ ~key);
        sum += static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
      }
    }
    return mix(seed, sum);
  }
};

}  // namespace

std::uint64_t checked_copy(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t seed) {
  Sums sums;
  std::size_t at = 0;
  for (; at + kBlockBytes <= size; at += kBlockBytes) sums.add(from + at, to + at);
  if (at < size) {
    std::byte rest[kBlockBytes] = {};
    std::memcpy(rest, from + at, size - at);
    std::byte copy[kBlockBytes];
    sums.add(rest, copy);
    std::memcpy(to + at, copy, size - at);
  }
  return sums.fold(mix(seed, size));
}

}  // namespace rse
