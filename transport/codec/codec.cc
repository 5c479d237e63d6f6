#include "transport/codec/codec.h"

#include <algorithm>
#include <cstring>

#include "torus/base/sentence.h"
#include "transport/codec/fields_reader.h"
#include "transport/codec/message_fields.h"

namespace rse {
namespace {

template <class M>
void append(const M& message, Bytes& out) {
  BytesSink sink(out);
  WireWriter<BytesSink> writer(sink);
  fields(writer, message);
}

template <class M>
CountingSink count(const M& message) {
  CountingSink size;
  WireWriter<CountingSink> counter(size);
  fields(counter, message);
  return size;
}

template <class M>
Result<M> decode(std::span<const std::byte> bytes, std::size_t size_max, M message = {}) {
  if (bytes.size() > size_max) return Error::kTooLarge;
  ReadState state;
  Result<M> result(std::move(message));
  if (!FieldsReader::read(bytes, *result, state)) result = state.error;
  return result;
}

/// A first field of 32 bits; an envelope begins with a number of 64.
bool begins_with(std::span<const std::byte> bytes, std::uint32_t magic) {
  constexpr std::byte kFirstFieldFixed32{0x0D};
  return bytes.size() >= 5 && bytes[0] == kFirstFieldFixed32 && std::memcmp(bytes.data() + 1, &magic, sizeof magic) == 0;
}

}  // namespace

std::vector<SharedBytes> encode_parts(const Envelope& envelope) {
  PartsSink sink(count(envelope).own);
  WireWriter<PartsSink> writer(sink);
  fields(writer, envelope);
  return sink.take();
}

void encode_envelope(const Envelope& envelope, Bytes& out) {
  out.reserve(out.size() + count(envelope).size());
  append(envelope, out);
}

Bytes encode_envelope(const Envelope& envelope) {
  Bytes out;
  encode_envelope(envelope, out);
  return out;
}

Result<Envelope> decode_envelope(std::span<const std::byte> bytes) { return decode<Envelope>(bytes, kMessageBytesMax); }

void encode_hello(const Hello& hello, Bytes& out) {
  Hello bounded = hello;
  cut_sentence(bounded.refusal, kRefusalBytesMax);
  append(bounded, out);
}

bool is_hello(std::span<const std::byte> bytes) { return begins_with(bytes, kHelloMagic); }

Result<Hello> decode_hello(std::span<const std::byte> bytes) {
  Hello hello;
  hello.protocol_min = hello.protocol_max = 0;
  return decode<Hello>(bytes, kHelloBytesMax, std::move(hello));
}

Bytes encode_lattice_sight(const LatticeSight& sight) {
  Bytes out;
  out.reserve(kSightFrameBytesMax);
  append(sight, out);
  return out;
}
bool is_lattice_sight(std::span<const std::byte> bytes) { return begins_with(bytes, kSightMagic); }
Result<LatticeSight> decode_lattice_sight(std::span<const std::byte> bytes) {
  return decode<LatticeSight>(bytes, kSightFrameBytesMax);
}

Bytes encode_incident_report(IncidentReport report) {
  cut_sentence(report.text, kReportTextBytesMax);
  report.age.raw = std::min(report.age.raw, kReportAgeMax.raw);
  Bytes out;
  out.reserve(kReportFrameBytesMax);
  append(report, out);
  return out;
}
bool is_incident_report(std::span<const std::byte> bytes) { return begins_with(bytes, kReportMagic); }
Result<IncidentReport> decode_incident_report(std::span<const std::byte> bytes) {
  return decode<IncidentReport>(bytes, kReportFrameBytesMax);
}

Bytes encode_address_update(const AddressUpdate& update) {
  Bytes out;
  append(update, out);
  return out;
}
bool is_address_update(std::span<const std::byte> bytes) { return begins_with(bytes, kAddressMagic); }
Result<AddressUpdate> decode_address_update(std::span<const std::byte> bytes) {
  return decode<AddressUpdate>(bytes, kUpdateFrameBytesMax);
}

void encode_link_claim(const LinkClaim& claim, Bytes& out) { append(claim, out); }
Result<LinkClaim> decode_link_claim(std::span<const std::byte> bytes) { return decode<LinkClaim>(bytes, kHelloBytesMax); }

void encode_link_grant(const LinkGrant& grant, Bytes& out) {
  LinkGrant bounded = grant;
  cut_sentence(bounded.refusal, kRefusalBytesMax);
  append(bounded, out);
}
Result<LinkGrant> decode_link_grant(std::span<const std::byte> bytes) { return decode<LinkGrant>(bytes, kHelloBytesMax); }

}  // namespace rse
