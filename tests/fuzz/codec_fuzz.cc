// Entry for libFuzzer and for codec_fuzz_test: any bytes as a message, and as a hello. What decodes has to survive being
// encoded and decoded again.
#include <cstdint>

#include "torus/base/assert.h"
#include "transport/codec/codec.h"
#include "transport/codec/random_message.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  if (const auto envelope = decode_envelope(bytes)) {
    const Bytes encoded = encode_envelope(*envelope);
    const auto again = decode_envelope(encoded);
    RSE_ASSERT(again && testing::dump(*again) == testing::dump(*envelope), "a message changed");
  }
  if (const auto hello = decode_hello(bytes)) {
    Bytes encoded;
    encode_hello(*hello, encoded);
    const auto again = decode_hello(encoded);
    RSE_ASSERT(again && again->self == hello->self, "a hello changed");
  }
  return 0;
}
