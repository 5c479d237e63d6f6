#include "transport/secure/record_key.h"

#include <sodium.h>

#include <cstring>

#include "torus/base/assert.h"

namespace rse {
namespace {

constexpr std::uint64_t kRekeyNonce = ~std::uint64_t{0};  // Noise keeps it for rekey()

/// Four zero bytes, then the counter: little-endian for ChaCha20, big-endian for AES-GCM (Noise, section 12).
std::array<std::uint8_t, 12> nonce_of(Cipher cipher, std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  const std::uint64_t ordered = cipher == Cipher::kAes256Gcm ? __builtin_bswap64(counter) : counter;
  std::memcpy(nonce.data() + 4, &ordered, sizeof ordered);
  return nonce;
}

constexpr std::uint8_t bit_of(Cipher cipher) { return static_cast<std::uint8_t>(1u << static_cast<unsigned>(cipher)); }

}  // namespace

std::uint8_t usable_ciphers() {
  const bool started = sodium_init() >= 0;
  RSE_ASSERT(started, "libsodium has no source of randomness");
  std::uint8_t usable = bit_of(Cipher::kChaCha20Poly1305);
  if (crypto_aead_aes256gcm_is_available() != 0) usable |= bit_of(Cipher::kAes256Gcm);
  return usable;
}

Cipher choose_cipher(std::uint8_t own, std::uint8_t peer) {
  return (own & peer & bit_of(Cipher::kAes256Gcm)) != 0 ? Cipher::kAes256Gcm : Cipher::kChaCha20Poly1305;
}

const char* cipher_name(Cipher cipher) {
  switch (cipher) {
    case Cipher::kChaCha20Poly1305: return "ChaCha20-Poly1305";
    case Cipher::kAes256Gcm: return "AES-256-GCM";
  }
  return "";
}

RecordKey::RecordKey(Cipher cipher, const SecretKey& key, std::uint64_t generation)
    : cipher_(cipher), generation_(generation), key_(key) {
  if (cipher_ == Cipher::kAes256Gcm) crypto_aead_aes256gcm_beforenm(&aes_, key_.bytes.data());
}

RecordKey::~RecordKey() { sodium_memzero(&aes_, sizeof aes_); }

RecordKey RecordKey::next() const {
  SecretBytes<48> sealed;
  constexpr std::array<std::byte, 32> kZeros{};
  seal(kRekeyNonce, kZeros, reinterpret_cast<std::byte*>(sealed.bytes.data()));
  SecretKey key;
  std::memcpy(key.bytes.data(), sealed.bytes.data(), key.bytes.size());
  return RecordKey(cipher_, key, generation_ + 1);
}

void RecordKey::seal(std::uint64_t counter, std::span<const std::byte> text, std::byte* out) const {
  const auto nonce = nonce_of(cipher_, counter);
  auto* to = reinterpret_cast<unsigned char*>(out);
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  if (cipher_ == Cipher::kAes256Gcm) {
    crypto_aead_aes256gcm_encrypt_afternm(to, nullptr, from, text.size(), nullptr, 0, nullptr, nonce.data(), &aes_);
  } else {
    crypto_aead_chacha20poly1305_ietf_encrypt(to, nullptr, from, text.size(), nullptr, 0, nullptr, nonce.data(),
                                              key_.bytes.data());
  }
}

bool RecordKey::open(std::uint64_t counter, std::span<const std::byte> sealed, std::byte* out) const {
  if (sealed.size() < kRecordTagBytes) return false;
  const auto nonce = nonce_of(cipher_, counter);
  auto* to = reinterpret_cast<unsigned char*>(out);
  const auto* from = reinterpret_cast<const unsigned char*>(sealed.data());
  if (cipher_ == Cipher::kAes256Gcm) {
    return crypto_aead_aes256gcm_decrypt_afternm(to, nullptr, nullptr, from, sealed.size(), nullptr, 0, nonce.data(),
                                                 &aes_) == 0;
  }
  return crypto_aead_chacha20poly1305_ietf_decrypt(to, nullptr, nullptr, from, sealed.size(), nullptr, 0, nonce.data(),
                                                   key_.bytes.data()) == 0;
}

std::uint64_t Sealer::seal(std::span<const std::byte> text, std::byte* out) {
  RSE_ASSERT(count_ != kRekeyNonce, "counters are used up");
  if (count_ / kRecordsPerKey != key_.generation()) key_ = key_.next();
  key_.seal(count_, text, out);
  return count_++;
}

bool StreamOpener::open(std::span<const std::byte> sealed, std::byte* out) {
  if (broken_) return false;
  if (count_ / kRecordsPerKey != key_.generation()) key_ = key_.next();
  broken_ = !key_.open(count_++, sealed, out);
  return !broken_;
}

bool ReplayWindow::is_new(std::uint64_t counter) const {
  if (counter > newest_) return true;
  if (newest_ - counter >= kSize) return false;
  return (seen_[counter / 64 % seen_.size()] >> (counter % 64) & 1) == 0;
}

void ReplayWindow::mark(std::uint64_t counter) {
  if (counter > newest_) {
    // Whole words between the two leave the window; the rest of the newest word has not been used yet.
    const std::uint64_t from = newest_ / 64, to = counter / 64;
    for (std::uint64_t word = from + 1; word <= to && word <= from + seen_.size(); ++word) seen_[word % seen_.size()] = 0;
    newest_ = counter;
  }
  seen_[counter / 64 % seen_.size()] |= std::uint64_t{1} << (counter % 64);
}

bool DatagramOpener::open(std::uint64_t counter, std::span<const std::byte> sealed, std::byte* out) {
  if (!window_.is_new(counter)) return false;
  const std::uint64_t generation = counter / kRecordsPerKey;
  if (generation == key_.generation()) {
    if (!key_.open(counter, sealed, out)) return false;
  } else if (generation == key_.generation() + 1) {
    RecordKey next = key_.next();
    if (!next.open(counter, sealed, out)) return false;
    before_ = key_;
    key_ = next;
  } else if (!before_ || generation != before_->generation() || !before_->open(counter, sealed, out)) {
    return false;
  }
  window_.mark(counter);
  return true;
}

}  // namespace rse
