// Takes the place of libsodium's one-call BLAKE2b in programs of the simulator, with the same results: nearly all of what a
// simulated cluster hashes is one of the few hundred empty regions, or the same head of a machine on five nodes.
// Threads: each its own memory, of about a megabyte.
#include <sodium/crypto_generichash_blake2b.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr std::size_t kShortBytes = 32, kDigestBytes = 32;
constexpr std::size_t kLongBytesMin = 4096, kLongBytesMixed = 256;  // the head of a machine begins with what differs

struct Short {
  std::array<unsigned char, kShortBytes> bytes{};
  std::size_t size = ~std::size_t{0};
  std::array<unsigned char, kDigestBytes> digest{};
};
struct Long {
  std::vector<unsigned char> bytes;
  std::array<unsigned char, kDigestBytes> digest{};
};

std::uint64_t mixed(const unsigned char* bytes, std::size_t size) {
  std::uint64_t sum = size;
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes + at, 8);
    sum = (sum ^ word) * 0x9E3779B97F4A7C15;
    sum ^= sum >> 29;
  }
  for (; at < size; ++at) sum = (sum ^ bytes[at]) * 0x9E3779B97F4A7C15;
  return sum ^ sum >> 32;
}

void hash(unsigned char* out, std::size_t out_size, const unsigned char* in, unsigned long long size, const unsigned char* key,
          std::size_t key_size) {
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, key, key_size, out_size);
  crypto_generichash_blake2b_update(&state, in, size);
  crypto_generichash_blake2b_final(&state, out, out_size);
}

}  // namespace

extern "C" int crypto_generichash_blake2b(unsigned char* out, std::size_t out_size, const unsigned char* in,
                                          unsigned long long size, const unsigned char* key, std::size_t key_size) {
  const bool plain = out_size == kDigestBytes && key_size == 0;
  if (plain && size <= kShortBytes) {
    thread_local std::vector<Short> known(4096);
    Short& slot = known[mixed(in, size) % known.size()];
    if (slot.size != size || std::memcmp(slot.bytes.data(), in, size) != 0) {
      hash(slot.digest.data(), kDigestBytes, in, size, nullptr, 0);
      slot.size = size;
      std::memcpy(slot.bytes.data(), in, size);
    }
    std::memcpy(out, slot.digest.data(), kDigestBytes);
  } else if (plain && size >= kLongBytesMin) {
    thread_local std::array<Long, 64> known;
    Long& slot = known[mixed(in, kLongBytesMixed) % known.size()];
    if (slot.bytes.size() != size || std::memcmp(slot.bytes.data(), in, size) != 0) {
      slot.bytes.assign(in, in + size);
      hash(slot.digest.data(), kDigestBytes, in, size, nullptr, 0);
    }
    std::memcpy(out, slot.digest.data(), kDigestBytes);
  } else {
    hash(out, out_size, in, size, key, key_size);
  }
  return 0;
}
