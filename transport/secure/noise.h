// The Noise handshake (noiseprotocol.org, revision 34): patterns XX and IK over X25519, ChaCha20-Poly1305 and BLAKE2b.
// Size: a message is what its tokens take and the payload, at most kNoiseMessageBytesMax. Threads: none. Memory: a few
// hundred bytes, wiped; no heap but the caller's. Errors: a message that does not fit the handshake is refused and ends it.
// Invariant: no I/O and no clock; checked against published vectors in noise_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "torus/base/bytes.h"
#include "torus/base/result.h"
#include "transport/secure/keys.h"

namespace rse {

inline constexpr std::size_t kNoiseMessageBytesMax = 1024;
inline constexpr std::size_t kNoiseHashBytes = 64;
using NoiseHash = std::array<std::uint8_t, kNoiseHashBytes>;

enum class NoisePattern : std::uint8_t {
  kXX,  // neither knows the other; three messages; both identities are hidden from who only listens
  kIK,  // the initiator knows the responder's key; two messages
};
enum class NoiseRole : std::uint8_t { kInitiator, kResponder };

/// The keys of the two directions after the handshake.
struct NoiseKeys {
  SecretKey sending, receiving;
};

class NoiseHandshake {
 public:
  struct Options {
    NoisePattern pattern{};
    NoiseRole role{};
    std::span<const std::uint8_t> prologue{};  // both sides have to give the same
    DhKey own{};
    std::optional<std::array<std::uint8_t, 32>> peer{};  // kIK, initiator: required
    std::optional<DhKey> ephemeral{};                    // for published vectors; otherwise made here
  };
  explicit NoiseHandshake(const Options& options);

  bool finished() const { return next_ == message_count_; }
  bool my_turn() const;
  /// Appends our next message to `out`. `payload`: in the first message of XX everyone can read it; later it is encrypted.
  Result<void> write(std::span<const std::uint8_t> payload, Bytes& out);
  /// Takes the other's next message; `payload` is replaced. An error is final: the handshake has to be dropped.
  Result<void> read(std::span<const std::byte> message, std::vector<std::uint8_t>& payload);

  /// Of everything said so far: equal on both sides, different in every handshake.
  const NoiseHash& hash() const { return hash_; }
  /// The other's static key, valid once its message that carries it has been read.
  const std::array<std::uint8_t, 32>& peer() const { return peer_; }
  /// Only when finished().
  NoiseKeys split() const;

 private:
  enum class Token : std::uint8_t { kE, kS, kEe, kEs, kSe, kSs };
  std::span<const Token> tokens() const;
  void mix_hash(std::span<const std::uint8_t> bytes);
  void mix_key(std::span<const std::uint8_t> secret);
  bool mix_dh(const SecretKey& secret, const std::array<std::uint8_t, 32>& shared);
  bool mix_token_dh(Token token);
  void encrypt(std::span<const std::uint8_t> text, Bytes& out);
  bool decrypt(std::span<const std::byte> sealed, std::span<std::uint8_t> text);
  std::size_t overhead() const { return has_key_ ? 16 : 0; }

  NoisePattern pattern_;
  NoiseRole role_;
  DhKey own_, ephemeral_;
  bool given_ephemeral_ = false;
  std::array<std::uint8_t, 32> peer_{}, peer_ephemeral_{};
  NoiseHash hash_{};
  SecretBytes<kNoiseHashBytes> chain_;
  SecretKey key_;
  bool has_key_ = false;
  std::uint64_t nonce_ = 0;
  std::size_t next_ = 0, message_count_ = 0;
};

}  // namespace rse
