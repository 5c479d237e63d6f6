// Any bytes as a message, as a hello, as a sight of a lattice, as a report of an incident, as an update of addresses, and as what is said to settle on a link. What decodes has to
// survive being encoded and decoded again.
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
  if (const auto sight = decode_lattice_sight(bytes)) {
    const auto again = decode_lattice_sight(encode_lattice_sight(*sight));
    RSE_ASSERT(again && again->torus == sight->torus && again->corrective == sight->corrective && again->levels == sight->levels,
               "a sight changed");
  }
  if (const auto report = decode_incident_report(bytes)) {
    const auto again = decode_incident_report(encode_incident_report(*report));
    RSE_ASSERT(again && again->kind == report->kind && again->torus == report->torus && again->text == report->text,
               "a report changed");
  }
  if (const auto update = decode_address_update(bytes)) {
    const auto again = decode_address_update(encode_address_update(*update));
    RSE_ASSERT(again && again->node == update->node && again->version == update->version && again->addresses == update->addresses &&
                   again->signature == update->signature,
               "an update of addresses changed");
  }
  if (const auto claim = decode_link_claim(bytes)) {
    Bytes encoded;
    encode_link_claim(*claim, encoded);
    const auto again = decode_link_claim(encoded);
    RSE_ASSERT(again && again->link == claim->link, "a claim changed");
  }
  if (const auto grant = decode_link_grant(bytes)) {
    Bytes encoded;
    encode_link_grant(*grant, encoded);
    const auto again = decode_link_grant(encoded);
    RSE_ASSERT(again && again->link == grant->link && again->refusal == grant->refusal, "a grant changed");
  }
  return 0;
}
