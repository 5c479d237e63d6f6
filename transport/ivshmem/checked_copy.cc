#include "transport/ivshmem/checked_copy.h"

#include <cstring>
#include <initializer_list>

namespace rse {
namespace {

constexpr std::size_t kBlockBytes = 64;

/// Eight lanes of 64 bits, each with the sum of its words and the sum of that sum's values.
struct Sums {
  alignas(kBlockBytes) std::uint64_t plain[8] = {};
  alignas(kBlockBytes) std::uint64_t running[8] = {};

  std::uint64_t fold(std::uint64_t seed) const {
    // Eight independent products of 128 bits, so that the processor works on several at once.
    std::uint64_t sum = 0;
    std::uint64_t key = seed | 1;
    for (int i = 0; i < 8; ++i) {
      key += 0x9E3779B97F4A7C15;
      const auto product = static_cast<unsigned __int128>(plain[i] ^ key) * (running[i] ^ ~key);
      sum += static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }
    return mix(seed, sum);
  }
};

/// Some neighbouring lanes in one register. The sums of a block are variables by name: an array of them stays in memory, which
/// is four times as slow.
template <class Word>
struct Lanes {
  Word plain = {}, running = {};

  [[gnu::always_inline]] void add(const Word& value) {
    plain += value;
    running += plain;
  }
  [[gnu::always_inline]] void add(const std::byte* from) {
    Word value;
    std::memcpy(&value, from, sizeof value);
    add(value);
  }
  [[gnu::always_inline]] void store(Sums& sums, std::size_t first) const {
    std::memcpy(sums.plain + first, &plain, sizeof plain);
    std::memcpy(sums.running + first, &running, sizeof running);
  }
};

#ifdef RSE_GUEST_KERNEL
/// Copies and sums the whole blocks of `size` bytes. In an emulated machine a vector is words in memory and each of its additions a
/// call, so: words in registers, as many lanes at a time as these are enough for, and one pass.
void take(Sums& sums, std::byte* to, const std::byte* from, std::size_t size, SumOf) {
  constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
  const auto take_word = [&](Lanes<std::uint64_t>& lane, std::size_t at) {
    std::uint64_t word;
    std::memcpy(&word, from + at, kWordBytes);
    asm("" : "+r"(word));  // no vector made of two of them
    std::memcpy(to + at, &word, kWordBytes);
    lane.add(word);
  };
  for (const std::size_t first : {std::size_t{0}, std::size_t{4}}) {
    Lanes<std::uint64_t> a, b, c, d;
    for (std::size_t at = first * kWordBytes; at < size; at += kBlockBytes) {
      take_word(a, at);
      take_word(b, at + kWordBytes);
      take_word(c, at + 2 * kWordBytes);
      take_word(d, at + 3 * kWordBytes);
    }
    a.store(sums, first);
    b.store(sums, first + 1);
    c.store(sums, first + 2);
    d.store(sums, first + 3);
  }
}
#else
using Two = std::uint64_t __attribute__((vector_size(16)));
using Four = std::uint64_t __attribute__((vector_size(32)));

void add_blocks(Sums& sums, const std::byte* bytes, std::size_t size) {
  Lanes<Two> a, b, c, d;
  for (std::size_t at = 0; at + kBlockBytes <= size; at += kBlockBytes) {
    a.add(bytes + at);
    b.add(bytes + at + 16);
    c.add(bytes + at + 32);
    d.add(bytes + at + 48);
  }
  a.store(sums, 0);
  b.store(sums, 2);
  c.store(sums, 4);
  d.store(sums, 6);
}

/// The same sums, by half as many instructions.
__attribute__((target("avx2"))) void add_blocks_wide(Sums& sums, const std::byte* bytes, std::size_t size) {
  Lanes<Four> a, b;
  for (std::size_t at = 0; at + kBlockBytes <= size; at += kBlockBytes) {
    a.add(bytes + at);
    b.add(bytes + at + 32);
  }
  a.store(sums, 0);
  b.store(sums, 4);
}

const auto add = __builtin_cpu_supports("avx2") ? add_blocks_wide : add_blocks;

/// Copies the whole blocks of `size` bytes, then sums them: memcpy() has more cache lines on their way at a time than any loop that
/// also adds.
void take(Sums& sums, std::byte* to, const std::byte* from, std::size_t size, SumOf what) {
  std::memcpy(to, from, size);
  add(sums, what == SumOf::kSource ? from : to, size);
}
#endif

}  // namespace

std::uint64_t checked_copy(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t seed,
                           SumOf what) {
  Sums sums;
  const std::size_t whole = size / kBlockBytes * kBlockBytes;
  take(sums, to, from, whole, what);
  if (whole < size) {
    std::byte rest[kBlockBytes] = {};
    std::memcpy(rest, from + whole, size - whole);
    std::memcpy(to + whole, rest, size - whole);
    for (int i = 0; i < 8; ++i) {
      std::uint64_t value = 0;
      std::memcpy(&value, rest + 8 * i, sizeof value);
      sums.plain[i] += value;
      sums.running[i] += sums.plain[i];
    }
  }
  return sums.fold(mix(seed, size));
}

}  // namespace rse
