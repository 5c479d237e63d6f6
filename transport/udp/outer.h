// The outside of a datagram: what can be read of it before anything is opened, and the cookie that proves an address.
// Spec: udp.md. Size: datagrams of the handshake are at most kInitBytes. Threads: none. Memory: the reader points into the datagram.
// Errors: nullopt. Invariant: until a cookie has come back nothing is kept, and no answer is larger than what it answers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "torus/base/bytes.h"
#include "torus/base/strong.h"
#include "transport/secure/keys.h"

namespace rse {

inline constexpr std::size_t kInitBytes = 1200;  // padded: no answer is larger, and the path carries what links need
inline constexpr std::size_t kOuterHeaderBytes = 1 + 8 + 8;
inline constexpr std::size_t kHandshakeBytesMax = 1024;

enum class OuterType : std::uint8_t {
  kInit = 0x71,    // who dials: its first handshake message, and a cookie if it has one
  kRetry = 0x72,   // a cookie
  kAccept = 0x73,  // the second handshake message
  kFinish = 0x74,  // the third
  kRecord = 0x75,  // sealed
};
enum class UdpMode : std::uint8_t { kEncrypted = 1, kOpen = 2 };

using Cookie = std::array<std::byte, 16>;

/// A datagram of the handshake. Fields that its type does not have are zeros.
struct HandshakeDatagram {
  OuterType type{};
  std::uint64_t to = 0;    // session of the receiver; in an init there is none
  std::uint64_t from = 0;  // session of the sender
  UdpMode mode = UdpMode::kEncrypted;
  Cookie cookie{};
  std::span<const std::byte> message;  // of the secure channel
};
std::optional<HandshakeDatagram> read_handshake(std::span<const std::byte> datagram);
Bytes handshake_datagram(const HandshakeDatagram& what);

struct RecordHeader {
  std::uint64_t to = 0;
  std::uint64_t number = 0;
};
/// The record is what follows kOuterHeaderBytes.
std::optional<RecordHeader> read_record_header(std::span<const std::byte> datagram);
void write_record_header(std::byte* out, const RecordHeader& header);

/// Makes cookies and knows its own: a keyed digest of the address, the session that asks, and the time in steps of
/// kCookieSeconds. The last two steps are good.
class CookieJar {
 public:
  static constexpr std::uint64_t kCookieSeconds = 10;
  Cookie cookie(std::span<const std::byte> address, std::uint64_t session, Instant now) const;
  bool knows(const Cookie& cookie, std::span<const std::byte> address, std::uint64_t session, Instant now) const;

 private:
  Cookie of_step(std::span<const std::byte> address, std::uint64_t session, std::uint64_t step) const;
  SecretKey secret_ = random_secret();
};

}  // namespace rse
