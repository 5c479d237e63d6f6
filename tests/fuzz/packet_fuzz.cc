// Any bytes as a packet, a seal, a projection, or a view (as it is agreed on and as the vote record begins). The first byte
// chooses. What decodes has one encoding.
#include <algorithm>
#include <cstdint>

#include "torus/base/assert.h"
#include "torus/braid/packet.h"
#include "torus/braid/view.h"

using namespace rse;

namespace {

template <class Decode, class Encode>
void check(std::span<const std::byte> bytes, Decode decode, Encode encode) {
  ByteReader reader(bytes);
  const auto value = decode(reader);
  if (!value || !reader.finished()) return;
  Bytes again;
  encode(*value, again);
  RSE_ASSERT(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()), "there is one encoding");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 4) {
    case 0: check(bytes, decode_packet, encode_packet); break;
    case 1: check(bytes, decode_seal, encode_seal); break;
    case 2: check(bytes, decode_projection, encode_projection); break;
    case 3: check(bytes, decode_view, encode_view); break;
  }
  return 0;
}
