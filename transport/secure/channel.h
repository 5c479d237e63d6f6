// The secure channel over a stream: Noise XX with what RSE puts in its payloads, then records. Bytes in, bytes out; the caller
// has the socket. Spec: transport/secure/secure.md.
// Size: handshake messages at most kNoiseMessageBytesMax, records at most 65,535 bytes; nothing is allocated for a size that was
// only announced. Threads: one at a time. Errors: kBroken with a sentence; the connection has to be closed. Invariant: nothing
// is opened that the peer of the handshake has not sealed, in its order, once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "transport/secure/noise.h"
#include "transport/secure/record_key.h"
#include "transport/secure/trust_book.h"

namespace rse {

/// Text in one record that we make; others may put in up to kRecordTextMax. It stays in the processor's nearest cache.
inline constexpr std::size_t kRecordTextBytes = 16u << 10;
inline constexpr std::size_t kRecordHeaderBytes = 2;
inline constexpr std::size_t kRecordTextMax = 65'535 - kRecordTagBytes;
/// Whether these are the first bytes of a peer that wants a channel: for one that has none, to say so.
bool begins_channel(std::span<const std::byte> bytes);

//  kHandshake --last message--> kOpen
//      '------anything wrong-------'---> kBroken
class SecureChannel {
 public:
  enum class State : std::uint8_t { kHandshake, kOpen, kBroken };
  /// The book of the moment when the connection was made. `address`: of the peer, for sentences.
  SecureChannel(NoiseRole role, std::shared_ptr<const TrustBook> book, std::string address);

  /// The initiator's first message is appended to `reply`.
  void start(Bytes& reply);
  /// Takes whole handshake messages from the front of `in` and appends answers to `reply`; the number of bytes taken. Stops
  /// when the channel is open: what is left are records. `now`: seconds since 1970.
  std::size_t on_handshake(std::span<const std::byte> in, std::uint64_t now, Bytes& reply);

  State state() const { return state_; }
  /// kBroken: why, for people; empty when it is nobody's business.
  const std::string& why() const { return why_; }
  /// kOpen. The responder may have opened a channel for no other purpose than to say why it refuses: verdict().refusal.
  const Verdict& verdict() const { return verdict_; }
  const PeerProof& peer() const { return proof_; }
  Cipher cipher() const { return cipher_; }

  /// What `size` bytes take in records.
  static constexpr std::size_t sealed_size(std::size_t size) {
    return size + (size + kRecordTextBytes - 1) / kRecordTextBytes * (kRecordHeaderBytes + kRecordTagBytes);
  }
  /// Writes records with the bytes of `pieces`, one after the other, to `out`, which has room for their sealed_size().
  void seal(std::span<const std::span<const std::byte>> pieces, std::byte* out);
  /// kOpen, instead of all that follows and seal(): the keys for records in datagrams, which carry their numbers. Once.
  struct DatagramEnds {
    Sealer sealer;
    DatagramOpener opener;
  };
  DatagramEnds take_datagram_ends();
  /// Size of the text of the record at the front of `in`; 0: it has not all arrived. A record that cannot be is kBroken.
  std::size_t next_record(std::span<const std::byte> in);
  /// Opens that record into `out`, which has room for its text; the number of bytes of `in` that it took, 0: kBroken.
  std::size_t open(std::span<const std::byte> in, std::byte* out);

 private:
  bool take(std::span<const std::byte> message, std::uint64_t now, Bytes& reply);
  void send(std::span<const std::uint8_t> payload, Bytes& reply);
  bool read_first(std::span<const std::uint8_t> payload);
  bool read_proof(std::span<const std::uint8_t> payload, const NoiseHash& before);
  void send_proof(std::uint64_t now, Bytes& reply);
  void finish();
  void fail(std::string why);

  NoiseRole role_;
  std::shared_ptr<const TrustBook> book_;
  std::string address_;
  NoiseHandshake noise_;
  State state_ = State::kHandshake;
  std::string why_;
  bool said_magic_ = false, heard_magic_ = false;
  Cipher cipher_ = Cipher::kChaCha20Poly1305;
  PeerProof proof_;
  Verdict verdict_;
  std::optional<Sealer> sealer_;
  std::optional<StreamOpener> opener_;
  std::optional<DatagramOpener> datagram_opener_;
};

}  // namespace rse
