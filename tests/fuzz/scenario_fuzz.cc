// Any bytes as an encoded scenario: what decodes has one encoding.
#include <algorithm>
#include <cstdint>

#include "torus/base/assert.h"
#include "torus/braid/scenario.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto scenario = decode_scenario(bytes);
  if (!scenario) return 0;
  const Bytes encoded = encode_scenario(*scenario);
  RSE_ASSERT(std::equal(encoded.begin(), encoded.end(), bytes.begin(), bytes.end()), "a scenario has one encoding");
  return 0;
}
