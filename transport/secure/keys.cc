#include "transport/secure/keys.h"

#include <sodium.h>

#include "torus/base/assert.h"

namespace rse {
namespace {

/// libsodium chooses its fastest code for this machine here; repeated calls do nothing.
void start_sodium() {
  static const bool started = sodium_init() >= 0;
  RSE_ASSERT(started, "libsodium has no source of randomness");
}

/// Ed25519 public key and the 64 bytes that libsodium signs with.
struct SigningPair {
  PublicKey shared;
  SecretBytes<64> secret;
  explicit SigningPair(const SecretKey& seed) {
    start_sodium();
    crypto_sign_seed_keypair(shared.bytes.data(), secret.bytes.data(), seed.bytes.data());
  }
};

}  // namespace

SecretKey random_secret() {
  start_sodium();
  SecretKey secret;
  randombytes_buf(secret.bytes.data(), secret.bytes.size());
  return secret;
}

DhKey DhKey::generate() { return from(random_secret()); }

DhKey DhKey::from(const SecretKey& secret) {
  start_sodium();
  DhKey key;
  key.secret = secret;
  crypto_scalarmult_base(key.shared.data(), secret.bytes.data());
  return key;
}

NodeKey::NodeKey(const SecretKey& seed) : seed_(seed) {
  const SigningPair pair(seed);
  shared_ = pair.shared;
  SecretKey secret;
  crypto_sign_ed25519_sk_to_curve25519(secret.bytes.data(), pair.secret.bytes.data());
  dh_ = DhKey::from(secret);
}

std::optional<std::array<std::uint8_t, 32>> dh_form(const PublicKey& key) {
  start_sodium();
  std::array<std::uint8_t, 32> form{};
  if (crypto_sign_ed25519_pk_to_curve25519(form.data(), key.bytes.data()) != 0) return {};
  return form;
}

Signature sign(const SecretKey& seed, std::span<const std::uint8_t> text) {
  const SigningPair pair(seed);
  Signature signature{};
  crypto_sign_detached(signature.data(), nullptr, text.data(), text.size(), pair.secret.bytes.data());
  return signature;
}

bool signature_is_of(const PublicKey& key, std::span<const std::uint8_t> text, const Signature& signature) {
  start_sodium();
  return crypto_sign_verify_detached(signature.data(), text.data(), text.size(), key.bytes.data()) == 0;
}

PublicKey public_key_of(const SecretKey& seed) { return SigningPair(seed).shared; }

}  // namespace rse
