// Any bytes as a datagram that comes to a UDP port: what is read as one of the handshake is the same when it is written and read again,
// and what is no cookie of ours is known as none.
#include <algorithm>
#include <cstdint>

#include "torus/base/assert.h"
#include "transport/udp/outer.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const CookieJar jar;
  const auto bytes = std::as_bytes(std::span(data, size));
  if (const auto record = read_record_header(bytes)) {
    RSE_ASSERT(size >= kOuterHeaderBytes, "a record has a header");
    Bytes again(bytes.begin(), bytes.begin() + kOuterHeaderBytes);
    write_record_header(again.data(), *record);
    RSE_ASSERT(std::equal(again.begin(), again.end(), bytes.begin()), "a header changed");
  }
  const auto handshake = read_handshake(bytes);
  if (!handshake) return 0;
  RSE_ASSERT(handshake->message.size() <= kHandshakeBytesMax, "a handshake has its bound");
  RSE_ASSERT(!jar.knows(handshake->cookie, {}, handshake->from, {}), "nobody guesses a cookie");
  const Bytes written = handshake_datagram(*handshake);
  const auto again = read_handshake(written);
  RSE_ASSERT(again && again->type == handshake->type && again->to == handshake->to && again->from == handshake->from &&
                 again->mode == handshake->mode && again->cookie == handshake->cookie &&
                 std::equal(again->message.begin(), again->message.end(), handshake->message.begin(), handshake->message.end()),
             "a handshake changed");
  return 0;
}
