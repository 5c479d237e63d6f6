#include "transport/stun/stun.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "transport/secure/keys.h"

namespace rse {
namespace {

constexpr std::size_t kHeaderBytes = 20;
constexpr std::uint32_t kCookie = 0x2112A442;
constexpr std::uint32_t kFingerprintXor = 0x5354554E;
constexpr Duration kFirstWait = milliseconds(500);  // RFC 8489, section 6.2.1: doubled each time, 7 questions,
constexpr unsigned kQuestions = 7;
constexpr unsigned kLastWaits = 16;                 // and 16 first waits after the last one
constexpr std::size_t kReasonBytesMax = 127;

enum Type : std::uint16_t { kRequest = 0x0001, kSuccess = 0x0101, kError = 0x0111 };
enum Attribute : std::uint16_t {
  kMappedAddress = 0x0001,
  kUsername = 0x0006,
  kMessageIntegrity = 0x0008,
  kErrorCode = 0x0009,
  kUnknownAttributes = 0x000A,
  kRealm = 0x0014,
  kNonce = 0x0015,
  kMessageIntegritySha256 = 0x001C,
  kXorMappedAddress = 0x0020,
  kFirstOptional = 0x8000,
  kFingerprint = 0x8028,
};

// Network order, unlike our own formats.
std::uint32_t number_at(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number = number << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return number;
}
void put(Bytes& out, std::uint32_t number, std::size_t size) {
  while (size-- > 0) out.push_back(static_cast<std::byte>(number >> (8 * size)));
}

/// That of Ethernet.
std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~0u;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

/// `mask`: the cookie and the transaction, or zeros for the older form.
std::optional<asio::ip::udp::endpoint> read_address(std::span<const std::byte> value, std::span<const std::byte, 16> mask) {
  if (value.size() < 8) return {};
  const auto port = static_cast<std::uint16_t>(number_at(value, 2, 2) ^ number_at(mask, 0, 2));
  const std::uint32_t family = number_at(value, 1, 1);
  if (family == 1 && value.size() == 8) {
    return asio::ip::udp::endpoint(asio::ip::address_v4(number_at(value, 4, 4) ^ number_at(mask, 0, 4)), port);
  }
  if (family != 2 || value.size() != 20) return {};
  asio::ip::address_v6::bytes_type bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::to_integer<std::uint8_t>(value[4 + i] ^ mask[i]);
  return asio::ip::udp::endpoint(asio::ip::address_v6(bytes), port);
}

void read_error(std::span<const std::byte> value, StunAnswer& answer) {
  if (value.size() < 4) return;
  answer.error = (number_at(value, 2, 1) & 7) * 100 + number_at(value, 3, 1) % 100;
  for (const std::byte byte : value.subspan(4, std::min(value.size() - 4, kReasonBytesMax))) {
    const char c = static_cast<char>(byte);
    answer.reason += c >= ' ' && c <= '~' ? c : '?';
  }
}

/// False: a part that has to be understood and is not.
bool take(std::uint32_t attribute, std::span<const std::byte> value, std::span<const std::byte, 16> mask, StunAnswer& answer) {
  static constexpr std::array<std::byte, 16> kNoMask{};
  switch (attribute) {
    case kXorMappedAddress: answer.mapped = read_address(value, mask); return true;
    case kMappedAddress:  // of servers older than RFC 5389
      if (!answer.mapped) answer.mapped = read_address(value, kNoMask);
      return true;
    case kErrorCode: read_error(value, answer); return true;
    case kUsername:
    case kMessageIntegrity:
    case kUnknownAttributes:
    case kRealm:
    case kNonce:
    case kMessageIntegritySha256: return true;
    default: return attribute >= kFirstOptional;
  }
}

}  // namespace

StunTransaction random_stun_transaction() {
  const SecretKey random = random_secret();
  StunTransaction transaction;
  std::copy_n(random.bytes.begin(), transaction.size(), transaction.begin());
  return transaction;
}

Bytes stun_request(const StunTransaction& transaction) {
  Bytes out;
  put(out, kRequest, 2);
  put(out, 8, 2);
  put(out, kCookie, 4);
  const auto number = std::as_bytes(std::span(transaction));
  out.insert(out.end(), number.begin(), number.end());
  const std::uint32_t sum = crc32(out) ^ kFingerprintXor;
  put(out, kFingerprint, 2);
  put(out, 4, 2);
  put(out, sum, 4);
  return out;
}

std::optional<StunAnswer> read_stun_answer(std::span<const std::byte> datagram, const StunTransaction& transaction) {
  if (datagram.size() < kHeaderBytes || datagram.size() > kStunBytesMax) return {};
  const std::uint32_t type = number_at(datagram, 0, 2);
  if (type != kSuccess && type != kError) return {};
  if (number_at(datagram, 2, 2) != datagram.size() - kHeaderBytes || datagram.size() % 4 != 0) return {};
  if (number_at(datagram, 4, 4) != kCookie || std::memcmp(datagram.data() + 8, transaction.data(), transaction.size()) != 0) return {};
  StunAnswer answer;
  bool sealed = false;  // by its integrity: what follows is no part of it, but for the fingerprint
  for (std::size_t at = kHeaderBytes; at < datagram.size();) {
    const std::uint32_t attribute = number_at(datagram, at, 2), size = number_at(datagram, at + 2, 2);
    const std::size_t begin = at + 4;
    if (size > datagram.size() - begin) return {};
    const auto value = datagram.subspan(begin, size);
    at = begin + (size + 3) / 4 * 4;
    if (attribute == kFingerprint) {
      const std::uint32_t sum = crc32(datagram.first(begin - 4)) ^ kFingerprintXor;
      if (size != 4 || at != datagram.size() || number_at(value, 0, 4) != sum) return {};
      continue;
    }
    if (!sealed && !take(attribute, value, datagram.subspan<4, 16>(), answer)) return {};
    sealed |= attribute == kMessageIntegrity || attribute == kMessageIntegritySha256;
  }
  if (type == kError) {
    answer.mapped.reset();
    if (answer.error < 300) return {};
  } else {
    answer.error = 0;
  }
  return answer;
}

bool StunClient::on_datagram(std::span<const std::byte> datagram) {
  const auto answer = read_stun_answer(datagram, transaction_);
  if (!answer) return false;
  if (state_ != State::kAsking) return true;  // doubled
  state_ = answer->mapped ? State::kAnswered : State::kFailed;
  if (answer->mapped) mapped_ = *answer->mapped;
  else why_ = answer->error == 0 ? "it answers without an address" : "it answers " + std::to_string(answer->error) + " " + answer->reason;
  return true;
}

std::optional<Bytes> StunClient::poll_send(Instant now) {
  if (state_ != State::kAsking || now < next_) return {};
  if (asked_ == kQuestions) {
    state_ = State::kFailed;
    why_ = "it does not answer";
    return {};
  }
  next_ = now + Duration{kFirstWait.raw << asked_};
  if (++asked_ == kQuestions) next_ = now + Duration{kLastWaits * kFirstWait.raw};
  return stun_request(transaction_);
}

std::optional<Instant> StunClient::next_deadline() const {
  if (state_ != State::kAsking) return {};
  return next_;
}

}  // namespace rse
