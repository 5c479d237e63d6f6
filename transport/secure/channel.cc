#include "transport/secure/channel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "torus/base/assert.h"

namespace rse {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic{'R', 'S', 'E', 's', 'e', 'c', '1', '\n'};
constexpr std::size_t kSizeBytes = 2;
constexpr char kProofText[] = "RSE: I am of this cluster";

void put(Bytes& to, const std::array<std::uint8_t, 8>& magic) {
  const auto bytes = std::as_bytes(std::span(magic));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void put(ByteWriter& writer, std::span<const std::uint8_t> bytes) { writer.put_bytes(std::as_bytes(bytes)); }

template <std::size_t kSize>
void get(ByteReader& reader, std::array<std::uint8_t, kSize>& bytes) {
  const auto from = reader.get_bytes(kSize);
  if (reader.ok()) std::memcpy(bytes.data(), from.data(), kSize);
}

NoiseHandshake::Options noise_options(NoiseRole role, const TrustBook& book) {
  return {.pattern = NoisePattern::kXX, .role = role, .prologue = kMagic, .own = book.key.dh()};
}

/// What a member signs with the cluster key: this handshake so far, its side of it, and its own key. A signature is of no use
/// in any other handshake, nor to anybody else in this one.
std::vector<std::uint8_t> proof_text(const NoiseHash& hash, NoiseRole role, const PublicKey& key) {
  std::vector<std::uint8_t> text(kProofText, kProofText + sizeof kProofText);
  text.push_back(static_cast<std::uint8_t>(role));
  text.insert(text.end(), hash.begin(), hash.end());
  text.insert(text.end(), key.bytes.begin(), key.bytes.end());
  return text;
}

}  // namespace

bool begins_channel(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof(std::uint32_t) && std::memcmp(bytes.data(), kMagic.data(), std::min(bytes.size(), kMagic.size())) == 0;
}

SecureChannel::SecureChannel(NoiseRole role, std::shared_ptr<const TrustBook> book, std::string address)
    : role_(role), book_(std::move(book)), address_(std::move(address)), noise_(noise_options(role, *book_)) {}

void SecureChannel::fail(std::string why) {
  state_ = State::kBroken;
  why_ = std::move(why);
}

void SecureChannel::start(Bytes& reply) {
  const std::array<std::uint8_t, 1> payload{usable_ciphers()};
  send(payload, reply);
}

void SecureChannel::send(std::span<const std::uint8_t> payload, Bytes& reply) {
  if (!std::exchange(said_magic_, true)) put(reply, kMagic);
  const std::size_t at = reply.size();
  reply.resize(at + kSizeBytes);
  if (!noise_.write(payload, reply)) return fail("its key is none that can be used");
  const auto size = static_cast<std::uint16_t>(reply.size() - at - kSizeBytes);
  std::memcpy(reply.data() + at, &size, kSizeBytes);
}

std::size_t SecureChannel::on_handshake(std::span<const std::byte> in, std::uint64_t now, Bytes& reply) {
  std::size_t taken = 0;
  while (state_ == State::kHandshake) {
    const auto rest = in.subspan(taken);
    if (!heard_magic_) {
      const std::size_t some = std::min(rest.size(), kMagic.size());
      if (some > 0 && std::memcmp(rest.data(), kMagic.data(), some) != 0) {
        if (!std::exchange(said_magic_, true)) put(reply, kMagic);  // a node with --insecure can tell its operator what this one is
        fail("it does not speak RSE's encrypted protocol; is it an rse-node, and not one with --insecure?");
        break;
      }
      if (some < kMagic.size()) break;
      heard_magic_ = true;
      taken += some;
      continue;
    }
    std::uint16_t size = 0;
    if (rest.size() < kSizeBytes) break;
    std::memcpy(&size, rest.data(), kSizeBytes);
    if (size > kNoiseMessageBytesMax) {
      fail("it announced a handshake message of " + std::to_string(size) + " bytes");
      break;
    }
    if (rest.size() < kSizeBytes + size) break;
    taken += kSizeBytes + size;
    if (!take(rest.subspan(kSizeBytes, size), now, reply) && state_ != State::kBroken) {
      fail("its handshake message is damaged or forged");
    }
  }
  return taken;
}

/// One whole message, and the answer to it.
bool SecureChannel::take(std::span<const std::byte> message, std::uint64_t now, Bytes& reply) {
  std::vector<std::uint8_t> payload;
  const bool first = role_ == NoiseRole::kResponder && !said_magic_;
  // What a proof signs is the handshake before the message that carries it.
  const NoiseHash before = noise_.hash();
  if (!noise_.read(message, payload)) return false;
  if (first) {
    if (!read_first(payload)) return false;
    send_proof(now, reply);
    return state_ != State::kBroken;
  }
  const bool fits = read_proof(payload, before);
  sodium_memzero(payload.data(), payload.size());
  if (!fits) return false;
  verdict_ = judge_peer(*book_, proof_, address_, now);
  if (role_ == NoiseRole::kInitiator) {
    if (!verdict_.refusal.empty()) {
      fail(verdict_.refusal);
      return false;
    }
    send_proof(now, reply);
  }
  if (state_ != State::kBroken) finish();
  return state_ != State::kBroken;
}

bool SecureChannel::read_first(std::span<const std::uint8_t> payload) {
  if (payload.size() != 1) return false;
  cipher_ = choose_cipher(usable_ciphers(), payload[0]);
  return true;
}

// Responder and initiator send the same fields: cipher (the responder's choice, repeated), cluster, clock, key, signature with
// the cluster key or zeros, ticket id and secret or zeros.
void SecureChannel::send_proof(std::uint64_t now, Bytes& reply) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(static_cast<std::uint8_t>(cipher_));
  writer.put(book_->cluster);
  writer.put(now);
  put(writer, book_->key.shared().bytes);
  Signature signature{};
  TicketSecret secret;
  std::uint64_t ticket = 0;
  if (book_->trust.has_seed()) {
    SecretKey seed;
    seed.bytes = book_->trust.seed;
    signature = sign(seed, proof_text(noise_.hash(), role_, book_->key.shared()));
  } else if (book_->ticket && role_ == NoiseRole::kInitiator) {  // the responder has proved that it is of the ticket's cluster
    ticket = book_->ticket->id;
    secret = book_->ticket->secret;
  }
  put(writer, signature);
  writer.put(ticket);
  put(writer, secret.bytes);
  send({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, reply);
  sodium_memzero(bytes.data(), bytes.size());
}

bool SecureChannel::read_proof(std::span<const std::uint8_t> payload, const NoiseHash& before) {
  const NoiseRole from = role_ == NoiseRole::kInitiator ? NoiseRole::kResponder : NoiseRole::kInitiator;
  ByteReader reader(std::as_bytes(payload));
  const auto cipher = reader.get<std::uint8_t>();
  proof_.cluster = reader.get<ClusterId>();
  proof_.clock = reader.get<std::uint64_t>();
  get(reader, proof_.key.bytes);
  Signature signature{};
  TicketSecret secret;
  get(reader, signature);
  proof_.ticket = reader.get<std::uint64_t>();
  get(reader, secret.bytes);
  if (!reader.finished()) return false;
  if (role_ == NoiseRole::kInitiator) {
    cipher_ = static_cast<Cipher>(cipher);
    if (cipher_ != choose_cipher(usable_ciphers(), 0) && cipher_ != choose_cipher(usable_ciphers(), 0xFF)) return false;
  } else if (cipher != static_cast<std::uint8_t>(cipher_)) {
    return false;
  }
  // The key that the handshake has proved has to be that of the identity.
  if (dh_form(proof_.key) != noise_.peer()) return false;
  proof_.ticket_secret = digest_of_secret(secret);
  const PublicKey cluster_key = book_->cluster_key();
  proof_.knows_cluster =
      !cluster_key.is_none() && signature_is_of(cluster_key, proof_text(before, from, proof_.key), signature);
  return true;
}

void SecureChannel::finish() {
  const NoiseKeys keys = noise_.split();
  sealer_.emplace(cipher_, keys.sending);
  opener_.emplace(cipher_, keys.receiving);
  datagram_opener_.emplace(cipher_, keys.receiving);
  state_ = State::kOpen;
}

void SecureChannel::seal(std::span<const std::span<const std::byte>> pieces, std::byte* out) {
  RSE_ASSERT(state_ == State::kOpen, "the handshake comes first");
  std::size_t left = 0;
  for (const auto& piece : pieces) left += piece.size();
  std::size_t piece = 0, offset = 0;
  while (left > 0) {
    const std::size_t size = std::min(left, kRecordTextBytes);
    const auto announced = static_cast<std::uint16_t>(size + kRecordTagBytes);
    std::memcpy(out, &announced, kRecordHeaderBytes);
    std::byte* const text = out + kRecordHeaderBytes;
    while (pieces[piece].size() == offset) ++piece, offset = 0;
    if (pieces[piece].size() - offset >= size) {  // straight from where it is
      sealer_->seal(pieces[piece].subspan(offset, size), text);
      offset += size;
    } else {
      for (std::size_t filled = 0; filled < size;) {
        while (pieces[piece].size() == offset) ++piece, offset = 0;
        const std::size_t some = std::min(size - filled, pieces[piece].size() - offset);
        std::memcpy(text + filled, pieces[piece].data() + offset, some);
        filled += some, offset += some;
      }
      sealer_->seal({text, size}, text);
    }
    out += kRecordHeaderBytes + size + kRecordTagBytes;
    left -= size;
  }
}

SecureChannel::DatagramEnds SecureChannel::take_datagram_ends() {
  RSE_ASSERT(state_ == State::kOpen && sealer_ && datagram_opener_, "an open channel has them once");
  DatagramEnds ends{*sealer_, *datagram_opener_};
  sealer_.reset();
  opener_.reset();
  datagram_opener_.reset();
  return ends;
}

std::size_t SecureChannel::next_record(std::span<const std::byte> in) {
  std::uint16_t size = 0;
  if (state_ != State::kOpen || in.size() < kRecordHeaderBytes) return 0;
  std::memcpy(&size, in.data(), kRecordHeaderBytes);
  if (size <= kRecordTagBytes) {
    fail("it sent a record without text");
    return 0;
  }
  return in.size() < kRecordHeaderBytes + size ? 0 : size - kRecordTagBytes;
}

std::size_t SecureChannel::open(std::span<const std::byte> in, std::byte* out) {
  std::uint16_t size = 0;
  std::memcpy(&size, in.data(), kRecordHeaderBytes);
  if (!opener_->open(in.subspan(kRecordHeaderBytes, size), out)) {
    fail("a record was changed, lost or doubled on the way");
    return 0;
  }
  return kRecordHeaderBytes + size;
}

}  // namespace rse
