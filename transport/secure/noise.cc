#include "transport/secure/noise.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "torus/base/assert.h"

namespace rse {
namespace {

constexpr std::size_t kBlockBytes = 128;  // of BLAKE2b
constexpr std::string_view kNameXX = "Noise_XX_25519_ChaChaPoly_BLAKE2b";
constexpr std::string_view kNameIK = "Noise_IK_25519_ChaChaPoly_BLAKE2b";
using Hash = SecretBytes<kNoiseHashBytes>;

const std::uint8_t* data_of(std::span<const std::byte> bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }

class Blake2b {
 public:
  Blake2b() { crypto_generichash_blake2b_init(&state_, nullptr, 0, kNoiseHashBytes); }
  ~Blake2b() { sodium_memzero(&state_, sizeof state_); }
  Blake2b& add(std::span<const std::uint8_t> bytes) {
    crypto_generichash_blake2b_update(&state_, bytes.data(), bytes.size());
    return *this;
  }
  void finish(std::array<std::uint8_t, kNoiseHashBytes>& out) {
    crypto_generichash_blake2b_final(&state_, out.data(), out.size());
  }

 private:
  crypto_generichash_blake2b_state state_;
};

/// HMAC (RFC 2104) over `first` and `second`.
void hmac(const Hash& key, std::span<const std::uint8_t> first, std::span<const std::uint8_t> second, Hash& out) {
  SecretBytes<kBlockBytes> inner, outer;
  for (std::size_t i = 0; i < kBlockBytes; ++i) {
    const std::uint8_t byte = i < key.bytes.size() ? key.bytes[i] : 0;
    inner.bytes[i] = byte ^ 0x36;
    outer.bytes[i] = byte ^ 0x5C;
  }
  Hash middle;
  Blake2b().add(inner.bytes).add(first).add(second).finish(middle.bytes);
  Blake2b().add(outer.bytes).add(middle.bytes).finish(out.bytes);
}

/// HKDF with two outputs (section 4.3).
void derive(const Hash& chain, std::span<const std::uint8_t> material, Hash& one, Hash& two) {
  Hash root;
  hmac(chain, material, {}, root);
  constexpr std::array<std::uint8_t, 1> kOne{1}, kTwo{2};
  hmac(root, kOne, {}, one);
  hmac(root, one.bytes, kTwo, two);
}

std::array<std::uint8_t, 12> nonce_of(std::uint64_t count) {
  std::array<std::uint8_t, 12> nonce{};
  std::memcpy(nonce.data() + 4, &count, sizeof count);  // little-endian, as x86-64
  return nonce;
}

}  // namespace

NoiseHandshake::NoiseHandshake(const Options& options)
    : pattern_(options.pattern), role_(options.role), own_(options.own) {
  if (options.ephemeral) {
    ephemeral_ = *options.ephemeral;
    given_ephemeral_ = true;
  }
  message_count_ = pattern_ == NoisePattern::kXX ? 3 : 2;
  const std::string_view name = pattern_ == NoisePattern::kXX ? kNameXX : kNameIK;
  static_assert(kNameXX.size() <= kNoiseHashBytes && kNameIK.size() <= kNoiseHashBytes);
  std::memcpy(hash_.data(), name.data(), name.size());
  chain_.bytes = hash_;
  mix_hash(options.prologue);
  if (pattern_ != NoisePattern::kIK) return;
  const bool initiator = role_ == NoiseRole::kInitiator;
  RSE_ASSERT(!initiator || options.peer, "IK needs the responder's key");
  if (initiator) peer_ = *options.peer;
  mix_hash(initiator ? peer_ : own_.shared);
}

bool NoiseHandshake::my_turn() const {
  return !finished() && (next_ % 2 == 0) == (role_ == NoiseRole::kInitiator);
}

std::span<const NoiseHandshake::Token> NoiseHandshake::tokens() const {
  using enum Token;
  static constexpr Token kXX[3][4] = {{kE}, {kE, kEe, kS, kEs}, {kS, kSe}};
  static constexpr std::size_t kXXSizes[3] = {1, 4, 2};
  static constexpr Token kIK[2][4] = {{kE, kEs, kS, kSs}, {kE, kEe, kSe}};
  static constexpr std::size_t kIKSizes[2] = {4, 3};
  if (pattern_ == NoisePattern::kIK) return {kIK[next_], kIKSizes[next_]};
  return {kXX[next_], kXXSizes[next_]};
}

void NoiseHandshake::mix_hash(std::span<const std::uint8_t> bytes) { Blake2b().add(hash_).add(bytes).finish(hash_); }

void NoiseHandshake::mix_key(std::span<const std::uint8_t> secret) {
  Hash next, key;
  derive(chain_, secret, next, key);
  chain_ = next;
  std::copy_n(key.bytes.begin(), key_.bytes.size(), key_.bytes.begin());
  has_key_ = true;
  nonce_ = 0;
}

/// False: the other's key is one of the few that make the result predictable.
bool NoiseHandshake::mix_dh(const SecretKey& secret, const std::array<std::uint8_t, 32>& shared) {
  SecretKey result;
  if (crypto_scalarmult(result.bytes.data(), secret.bytes.data(), shared.data()) != 0) return false;
  mix_key(result.bytes);
  return true;
}

/// In a token's name the first letter is the initiator's key.
bool NoiseHandshake::mix_token_dh(Token token) {
  const bool initiator = role_ == NoiseRole::kInitiator;
  switch (token) {
    case Token::kEe: return mix_dh(ephemeral_.secret, peer_ephemeral_);
    case Token::kSs: return mix_dh(own_.secret, peer_);
    case Token::kEs: return initiator ? mix_dh(ephemeral_.secret, peer_) : mix_dh(own_.secret, peer_ephemeral_);
    case Token::kSe: return initiator ? mix_dh(own_.secret, peer_ephemeral_) : mix_dh(ephemeral_.secret, peer_);
    case Token::kE:
    case Token::kS: break;
  }
  return true;
}

void NoiseHandshake::encrypt(std::span<const std::uint8_t> text, Bytes& out) {
  const std::size_t at = out.size();
  out.resize(at + text.size() + overhead());
  auto* to = reinterpret_cast<std::uint8_t*>(out.data() + at);
  if (has_key_) {
    crypto_aead_chacha20poly1305_ietf_encrypt(to, nullptr, text.data(), text.size(), hash_.data(), hash_.size(), nullptr,
                                              nonce_of(nonce_++).data(), key_.bytes.data());
  } else if (!text.empty()) {
    std::memcpy(to, text.data(), text.size());
  }
  mix_hash({to, out.size() - at});
}

bool NoiseHandshake::decrypt(std::span<const std::byte> sealed, std::span<std::uint8_t> text) {
  if (has_key_) {
    if (crypto_aead_chacha20poly1305_ietf_decrypt(text.data(), nullptr, nullptr, data_of(sealed), sealed.size(),
                                                  hash_.data(), hash_.size(), nonce_of(nonce_++).data(),
                                                  key_.bytes.data()) != 0) {
      return false;
    }
  } else if (!text.empty()) {
    std::memcpy(text.data(), sealed.data(), text.size());
  }
  mix_hash({data_of(sealed), sealed.size()});
  return true;
}

Result<void> NoiseHandshake::write(std::span<const std::uint8_t> payload, Bytes& out) {
  RSE_ASSERT(my_turn(), "it is the other's turn");
  for (const Token token : tokens()) {
    if (token == Token::kE) {
      if (!given_ephemeral_) ephemeral_ = DhKey::generate();
      const auto* bytes = reinterpret_cast<const std::byte*>(ephemeral_.shared.data());
      out.insert(out.end(), bytes, bytes + ephemeral_.shared.size());
      mix_hash(ephemeral_.shared);
    } else if (token == Token::kS) {
      encrypt(own_.shared, out);
    } else if (!mix_token_dh(token)) {
      return Error::kMalformed;
    }
  }
  encrypt(payload, out);
  ++next_;
  return {};
}

Result<void> NoiseHandshake::read(std::span<const std::byte> message, std::vector<std::uint8_t>& payload) {
  if (finished() || my_turn()) return Error::kMalformed;
  if (message.size() > kNoiseMessageBytesMax) return Error::kTooLarge;
  for (const Token token : tokens()) {
    if (token == Token::kE) {
      if (message.size() < peer_ephemeral_.size()) return Error::kTruncated;
      std::memcpy(peer_ephemeral_.data(), message.data(), peer_ephemeral_.size());
      message = message.subspan(peer_ephemeral_.size());
      mix_hash(peer_ephemeral_);
    } else if (token == Token::kS) {
      const std::size_t size = peer_.size() + overhead();
      if (message.size() < size) return Error::kTruncated;
      if (!decrypt(message.first(size), peer_)) return Error::kDigestMismatch;
      message = message.subspan(size);
    } else if (!mix_token_dh(token)) {
      return Error::kMalformed;
    }
  }
  if (message.size() < overhead()) return Error::kTruncated;
  payload.resize(message.size() - overhead());
  if (!decrypt(message, payload)) return Error::kDigestMismatch;
  ++next_;
  return {};
}

NoiseKeys NoiseHandshake::split() const {
  RSE_ASSERT(finished(), "keys come after the last message");
  Hash one, two;
  derive(chain_, {}, one, two);
  NoiseKeys keys;
  const bool initiator = role_ == NoiseRole::kInitiator;
  std::copy_n((initiator ? one : two).bytes.begin(), 32, keys.sending.bytes.begin());
  std::copy_n((initiator ? two : one).bytes.begin(), 32, keys.receiving.bytes.begin());
  return keys;
}

}  // namespace rse
