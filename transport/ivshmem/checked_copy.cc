#include "transport/ivshmem/checked_copy.h"

#include <cstring>
#include <initializer_list>
#include <utility>

namespace rse {
namespace {

constexpr std::size_t kBlockBytes = 64;
constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr std::size_t kLanes = kBlockBytes / kWordBytes;

/// Eight lanes of 64 bits, each with the sum of its words and the sum of that sum's values.
struct Sums {
  alignas(kBlockBytes) std::uint64_t plain[kLanes];
  alignas(kBlockBytes) std::uint64_t running[kLanes];

  std::uint64_t fold() const {
    // Eight independent products of 128 bits, so that the processor works on several at once.
    std::uint64_t sum = 0;
    std::uint64_t key = 0;
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kLanes; ++i) {
      key += 0x9E3779B97F4A7C15;
      const auto product = static_cast<unsigned __int128>(plain[i] + key) * (running[i] ^ ~key);
      sum += static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }
    return sum;
  }
};

/// Some neighbouring lanes in one register. Where a loop's variable chooses among several, they stay in memory, which is four
/// times as slow.
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
/// Copies `size` bytes, a block at least, and sums the whole blocks and the last block of them. In an emulated machine a vector is
/// words in memory and each of its additions a call, so: words in registers, as many lanes at a time as these are enough for.
void take(Sums& sums, std::byte* to, const std::byte* from, std::size_t size, SumOf what) {
  const auto take_word = [&](Lanes<std::uint64_t>& lane, std::size_t at) {
    std::uint64_t word;
    std::memcpy(&word, from + at, kWordBytes);
    asm("" : "+r"(word));  // no vector made of two of them
    std::memcpy(to + at, &word, kWordBytes);
    lane.add(word);
  };
  const std::size_t whole = size / kBlockBytes * kBlockBytes;
  for (const std::size_t first : {std::size_t{0}, std::size_t{4}}) {
    Lanes<std::uint64_t> a, b, c, d;
    for (std::size_t at = first * kWordBytes; at < whole; at += kBlockBytes) {
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
  if (whole == size) return;
  std::memcpy(to + whole, from + whole, size - whole);
  const std::byte* const last = (what == SumOf::kSource ? from : to) + size - kBlockBytes;
  for (std::size_t i = 0; i < kLanes; ++i) {
    std::uint64_t word;
    std::memcpy(&word, last + i * kWordBytes, kWordBytes);
    sums.plain[i] += word;
    sums.running[i] += sums.plain[i];
  }
}
#else
using Two = std::uint64_t __attribute__((vector_size(16)));
using Four = std::uint64_t __attribute__((vector_size(32)));
using Eight = std::uint64_t __attribute__((vector_size(64)));

/// The lanes of a block, in `Word`s that each go into a register. Inlined into functions for the processors that have such.
template <class Word, class Parts = std::make_index_sequence<kBlockBytes / sizeof(Word)>>
struct Block;
template <class Word, std::size_t... kParts>
struct Block<Word, std::index_sequence<kParts...>> {
  Lanes<Word> lanes[sizeof...(kParts)];

  [[gnu::always_inline]] void add(const std::byte* from) { (lanes[kParts].add(from + kParts * sizeof(Word)), ...); }
  [[gnu::always_inline]] void copy_and_add(std::byte* to, const std::byte* from) {
    Word words[sizeof...(kParts)];
    (std::memcpy(&words[kParts], from + kParts * sizeof(Word), sizeof(Word)), ...);
    (std::memcpy(to + kParts * sizeof(Word), &words[kParts], sizeof(Word)), ...);
    (lanes[kParts].add(words[kParts]), ...);
  }
  [[gnu::always_inline]] void store(Sums& sums) const { (lanes[kParts].store(sums, kParts * sizeof(Word) / kWordBytes), ...); }
};

template <class Word>
[[gnu::always_inline]] inline void add_blocks(Sums& sums, const std::byte* bytes, std::size_t size) {
  Block<Word> block;
  for (std::size_t at = 0; at + kBlockBytes <= size; at += kBlockBytes) block.add(bytes + at);
  if (size % kBlockBytes != 0) block.add(bytes + size - kBlockBytes);
  block.store(sums);
}

/// Copies and sums at once what another processor has just written: all of its cache lines are asked for before, so that they
/// are on their way together, and the sums are made while they come.
template <class Word>
[[gnu::always_inline]] inline void copy_and_add_blocks(Sums& sums, std::byte* to, const std::byte* from, std::size_t size) {
  for (std::size_t at = 0; at < size; at += kBlockBytes) __builtin_prefetch(from + at);
  Block<Word> block;
  for (std::size_t at = 0; at + kBlockBytes <= size; at += kBlockBytes) block.copy_and_add(to + at, from + at);
  const std::size_t rest = size % kBlockBytes;
  if (rest != 0) {
    std::memcpy(to + size - rest, from + size - rest, rest);
    block.add(to + size - kBlockBytes);
  }
  block.store(sums);
}

void add_narrow(Sums& sums, const std::byte* bytes, std::size_t size) { add_blocks<Two>(sums, bytes, size); }

__attribute__((target("avx2"))) void add_wide(Sums& sums, const std::byte* bytes, std::size_t size) {
  add_blocks<Four>(sums, bytes, size);
}
__attribute__((target("avx2"))) void copy_and_add_wide(Sums& sums, std::byte* to, const std::byte* from, std::size_t size) {
  copy_and_add_blocks<Four>(sums, to, from, size);
}

__attribute__((target("avx512f"))) void add_widest(Sums& sums, const std::byte* bytes, std::size_t size) {
  add_blocks<Eight>(sums, bytes, size);
}
__attribute__((target("avx512f"))) void copy_and_add_widest(Sums& sums, std::byte* to, const std::byte* from, std::size_t size) {
  copy_and_add_blocks<Eight>(sums, to, from, size);
}

const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
/// The first processors with registers of 512 bits slow down where these are used; those that know this extension do not.
const bool has_cheap_avx512 = __builtin_cpu_supports("avx512vbmi2") != 0;
const auto add = has_cheap_avx512 ? add_widest : has_avx2 ? add_wide : add_narrow;
const auto copy_and_add = has_cheap_avx512 ? copy_and_add_widest : copy_and_add_wide;

/// Copies `size` bytes, a block at least, and sums the whole blocks and the last block of them.
void take(Sums& sums, std::byte* to, const std::byte* from, std::size_t size, SumOf what) {
  if (what == SumOf::kCopy && has_avx2) return copy_and_add(sums, to, from, size);
  std::memcpy(to, from, size);
  add(sums, what == SumOf::kSource ? from : to, size);
}
#endif

/// Less than a block, as if zeros followed.
void take_few(Sums& sums, std::byte* to, const std::byte* from, std::size_t size) {
  alignas(kBlockBytes) std::uint64_t block[kLanes] = {};
  std::memcpy(block, from, size);
  std::memcpy(to, block, size);
  for (std::size_t i = 0; i < kLanes; ++i) sums.plain[i] = sums.running[i] = block[i];
}

}  // namespace

std::uint64_t checked_copy(std::byte* to, const std::byte* from, std::size_t size, std::uint64_t seed,
                           SumOf what) {
  Sums sums;
  if (size < kBlockBytes) {
    take_few(sums, to, from, size);
  } else {
    take(sums, to, from, size, what);
  }
  return mix(mix(seed, size), sums.fold());
}

}  // namespace rse
