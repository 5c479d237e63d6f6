// Any bytes as the answer of a STUN server; the transaction is that of RFC 5769's samples.
#include <cstdint>

#include "torus/base/assert.h"
#include "transport/stun/stun.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr StunTransaction kTransaction{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto answer = read_stun_answer(bytes, kTransaction);
  StunClient client(kTransaction, {});
  RSE_ASSERT(client.on_datagram(bytes) == answer.has_value(), "the client takes what can be read");
  if (!answer) return 0;
  RSE_ASSERT(!answer->mapped || answer->error == 0, "a refusal has no address");
  RSE_ASSERT(answer->reason.size() <= 127, "a reason has its bound");
  RSE_ASSERT((client.state() == StunClient::State::kAnswered) == answer->mapped.has_value(), "an address is what it is about");
  return 0;
}
