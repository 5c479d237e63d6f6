// Secret bytes that are wiped when they go, and the key that a node is known by.
// Size: 32 bytes a secret. Threads: none. Memory: no heap, so no copy is left behind by a growing vector. Errors: a key that
// is no point of the curve is nullopt. Invariant: nothing here has a text form; secrets never reach a log.
#pragma once

#include <sodium/utils.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "torus/base/public_key.h"

namespace rse {

template <std::size_t kSize>
struct SecretBytes {
  std::array<std::uint8_t, kSize> bytes{};
  SecretBytes() = default;
  SecretBytes(const SecretBytes&) = default;
  SecretBytes& operator=(const SecretBytes&) = default;
  ~SecretBytes() { sodium_memzero(bytes.data(), kSize); }
};
using SecretKey = SecretBytes<32>;

/// From the system's random source.
SecretKey random_secret();

/// The two halves of an X25519 key.
struct DhKey {
  SecretKey secret;
  std::array<std::uint8_t, 32> shared{};  // the public half
  static DhKey generate();
  static DhKey from(const SecretKey& secret);
};

/// A node's identity: Ed25519, from a seed of 32 bytes. The X25519 key of its handshakes is the same point in the other
/// form of the curve (docs/internals/security.md says why that is sound), so the handshake itself proves the identity.
class NodeKey {
 public:
  explicit NodeKey(const SecretKey& seed);
  static NodeKey generate() { return NodeKey(random_secret()); }
  const SecretKey& seed() const { return seed_; }
  const PublicKey& shared() const { return shared_; }
  const DhKey& dh() const { return dh_; }

 private:
  SecretKey seed_;
  PublicKey shared_;
  DhKey dh_;
};

/// The X25519 form of an identity; nullopt: no point of the curve, or one of small order.
std::optional<std::array<std::uint8_t, 32>> dh_form(const PublicKey& key);

using Signature = std::array<std::uint8_t, 64>;
/// Ed25519 with the key that `seed` makes.
Signature sign(const SecretKey& seed, std::span<const std::uint8_t> text);
bool signature_is_of(const PublicKey& key, std::span<const std::uint8_t> text, const Signature& signature);
PublicKey public_key_of(const SecretKey& seed);

}  // namespace rse
