#include "guest_kernel/runtime/entropy.h"

#include <sodium/crypto_generichash_blake2b.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/runtime/panic.h"

namespace rse::kernel {
namespace {

constexpr std::size_t kKeyBytes = crypto_generichash_blake2b_KEYBYTES_MAX;
constexpr std::uint32_t kRdrandBit = 1u << 30;  // CPUID leaf 1, ECX
constexpr int kRdrandWords = 8, kRdrandTries = 10;

struct Pool {
  std::array<unsigned char, kKeyBytes> key{};
  bool has_rdrand = false, has_secret = false;
};

constexpr std::uint64_t kNextKey = ~std::uint64_t{0};  // a counter that no request reaches

/// `out` = BLAKE2b(key; counter, time, text).
void derive(const Pool& pool, std::uint64_t counter, std::span<const std::byte> text, std::array<unsigned char, kKeyBytes>& out) {
  const std::array<std::uint64_t, 2> head{counter, read_tsc()};
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, pool.key.data(), pool.key.size(), out.size());
  crypto_generichash_blake2b_update(&state, reinterpret_cast<const unsigned char*>(head.data()), sizeof head);
  crypto_generichash_blake2b_update(&state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  crypto_generichash_blake2b_final(&state, out.data(), out.size());
}

void stir(Pool& pool, std::span<const std::byte> text) {
  std::array<unsigned char, kKeyBytes> next;
  derive(pool, kNextKey, text, next);
  pool.key = next;
}

/// Intel SDM volume 1, 7.3.17: it may fail, a few times in a row hardly ever.
bool read_rdrand(std::uint64_t& out) {
  for (int tries = 0; tries < kRdrandTries; ++tries) {
    bool good;
    asm volatile("rdrand %0" : "=r"(out), "=@ccc"(good));
    if (good) return true;
  }
  return false;
}

Pool& pool() {
  static Pool pool = [] {
    Pool fresh;
    std::array<std::uint64_t, kRdrandWords> words{};
    fresh.has_rdrand = (cpuid(1).c & kRdrandBit) != 0;
    for (std::uint64_t& word : words) fresh.has_rdrand = fresh.has_rdrand && read_rdrand(word);
    stir(fresh, std::as_bytes(std::span(words)));
    return fresh;
  }();
  return pool;
}

}  // namespace

void add_entropy(std::span<const std::byte> secret) {
  stir(pool(), secret);
  pool().has_secret = pool().has_secret || secret.size() >= kEntropyBytes;
}

bool has_entropy() { return pool().has_rdrand || pool().has_secret; }

void fill_random(std::span<std::byte> out) {
  if (!has_entropy()) panic("random numbers", "a key was asked for, and neither the processor nor the machine's owner gives any");
  std::array<unsigned char, kKeyBytes> block;
  for (std::uint64_t counter = 0; !out.empty(); ++counter) {
    derive(pool(), counter, {}, block);
    const std::size_t size = std::min(block.size(), out.size());
    std::memcpy(out.data(), block.data(), size);
    out = out.subspan(size);
  }
  block.fill(0);
  asm volatile("" : : "r"(block.data()) : "memory");
  stir(pool(), {});
}

}  // namespace rse::kernel

// libsodium's own sources of random numbers want a system; these take their place, and the objects that have those stay out.
extern "C" {

int sodium_init() { return 0; }  // no choice among implementations: the portable ones run on every processor
void randombytes_buf(void* const out, const std::size_t size) {
  rse::kernel::fill_random({static_cast<std::byte*>(out), size});
}

}  // extern "C"
