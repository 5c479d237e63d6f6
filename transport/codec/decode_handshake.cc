// The first frames of a connection.
#include "transport/codec/codec.h"
#include "transport/codec/field_reader.h"
#include "transport/codec/hello_magic.h"

namespace rse {

Result<Hello> decode_hello(std::span<const std::byte> bytes) {
  if (bytes.size() > kHelloBytesMax) return Error::kTooLarge;
  v1::Hello wire;
  if (!parse(bytes, wire) || wire.magic() != kHelloMagic) return Error::kMalformed;
  FieldReader fields;
  Hello hello;
  hello.protocol_min = wire.protocol_min();
  hello.protocol_max = wire.protocol_max();
  hello.cluster = {wire.cluster()};
  fields.get(wire.self(), hello.self);
  fields.get(wire.refusal(), kRefusalBytesMax, hello.refusal);
  fields.check(hello.self.node.raw != 0 && hello.protocol_min <= hello.protocol_max,
               Error::kMalformed);
  if (!fields.ok()) return fields.error();
  return hello;
}

Result<LinkClaim> decode_link_claim(std::span<const std::byte> bytes) {
  if (bytes.size() > kHelloBytesMax) return Error::kTooLarge;
  v1::LinkClaim wire;
  if (!parse(bytes, wire)) return Error::kMalformed;
  return LinkClaim{wire.link()};
}

Result<LinkGrant> decode_link_grant(std::span<const std::byte> bytes) {
  if (bytes.size() > kHelloBytesMax) return Error::kTooLarge;
  v1::LinkGrant wire;
  if (!parse(bytes, wire)) return Error::kMalformed;
  if (wire.refusal().size() > kRefusalBytesMax) return Error::kTooLarge;
  if (wire.link() != 0 && !wire.refusal().empty()) return Error::kMalformed;
  return LinkGrant{wire.link(), wire.refusal()};
}

}  // namespace rse
