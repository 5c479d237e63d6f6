// The keys of a channel after its handshake: each seals, or opens, the records of one direction.
// Size: a record grows by kRecordTagBytes. Threads: one at a time. Memory: none beyond the object. Errors: open() says false:
// forged, damaged, replayed in a stream, or sealed with another key. Nonces are record counters, 64 bits, never used twice;
// after every kRecordsPerKey records the key is replaced by Noise's rekey(), which cannot be turned back, so who takes a
// machine over cannot read what crossed the link before. Spec: transport/secure/secure.md.
#pragma once

#include <sodium/crypto_aead_aes256gcm.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "transport/secure/keys.h"

namespace rse {

enum class Cipher : std::uint8_t { kChaCha20Poly1305 = 1, kAes256Gcm = 2 };
/// Bit (1 << Cipher) for each that this machine can do; AES only where the processor has instructions for it.
std::uint8_t usable_ciphers();
/// The fastest that both can do; ChaCha20-Poly1305 always is one.
Cipher choose_cipher(std::uint8_t own, std::uint8_t peer);
const char* cipher_name(Cipher cipher);

inline constexpr std::size_t kRecordTagBytes = 16;
/// At heartbeat rate (5 ms) a key lasts 22 minutes; at 64 KiB records 16 GiB, far below what either cipher allows.
inline constexpr std::uint64_t kRecordsPerKey = 1u << 18;

/// A key of one direction and how often it has been replaced.
class RecordKey {
 public:
  RecordKey(Cipher cipher, const SecretKey& key, std::uint64_t generation = 0);
  ~RecordKey();
  RecordKey(const RecordKey&) = default;
  RecordKey& operator=(const RecordKey&) = default;

  std::uint64_t generation() const { return generation_; }
  RecordKey next() const;
  /// `out` has room for text.size() + kRecordTagBytes; it may be where the text is.
  void seal(std::uint64_t counter, std::span<const std::byte> text, std::byte* out) const;
  /// `out` has room for sealed.size() - kRecordTagBytes; it may be where `sealed` is. On false it holds zeros or rubbish.
  bool open(std::uint64_t counter, std::span<const std::byte> sealed, std::byte* out) const;

 private:
  Cipher cipher_;
  std::uint64_t generation_;
  SecretKey key_;
  crypto_aead_aes256gcm_state aes_{};  // the key's schedule; unused by the other cipher
};

class Sealer {
 public:
  Sealer(Cipher cipher, const SecretKey& key) : key_(cipher, key) {}
  /// Seals the next record and returns its counter, which a datagram has to carry.
  std::uint64_t seal(std::span<const std::byte> text, std::byte* out);
  std::uint64_t count() const { return count_; }

 private:
  RecordKey key_;
  std::uint64_t count_ = 0;
};

/// For a stream: records come once and in order, so their counters need not be sent.
class StreamOpener {
 public:
  StreamOpener(Cipher cipher, const SecretKey& key) : key_(cipher, key) {}
  /// After false the stream is over: nothing that follows can be trusted.
  bool open(std::span<const std::byte> sealed, std::byte* out);

 private:
  RecordKey key_;
  std::uint64_t count_ = 0;
  bool broken_ = false;
};

/// Which of the last kSize counters have been seen. For datagrams, which may be lost, late and doubled.
class ReplayWindow {
 public:
  static constexpr std::uint64_t kSize = 1024;
  /// Neither seen nor too old to know.
  bool is_new(std::uint64_t counter) const;
  /// Only after the record has proved genuine.
  void mark(std::uint64_t counter);
  std::uint64_t newest() const { return newest_; }

 private:
  std::array<std::uint64_t, kSize / 64 + 1> seen_{};  // the window's two ends may share no word
  std::uint64_t newest_ = 0;
};

/// For datagrams: the counter comes with the record. Keys of two generations serve, so that late records are not lost; a
/// counter further ahead than the next generation is refused without work.
class DatagramOpener {
 public:
  DatagramOpener(Cipher cipher, const SecretKey& key) : key_(cipher, key) {}
  bool open(std::uint64_t counter, std::span<const std::byte> sealed, std::byte* out);

 private:
  RecordKey key_;
  std::optional<RecordKey> before_;
  ReplayWindow window_;
};

}  // namespace rse
