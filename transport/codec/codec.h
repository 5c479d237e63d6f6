// Between the plain structs of messages and their bytes on a link (proto/rse/v1/messages.proto), without libprotobuf: the same code
// runs in the guest kernel.
// Size: refuses more than kMessageBytesMax before it looks; decoding allocates at most about 64 MiB beside the result.
// Threads: any; no state. Errors: returned; every byte may be hostile, and nothing beyond a bound of the headers of
// torus/braid is ever put in a struct. Invariant: what decodes, encodes to bytes that decode to the same struct.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/result.h"
#include "torus/braid/messages.h"
#include "torus/watch/incident_report.h"
#include "torus/watch/lattice_sight.h"
#include "transport/address_update.h"
#include "transport/handshake.h"
#include "transport/transport.h"

namespace rse {

/// The message as it goes on a link, in parts: regions are views of the very bytes that the cut holds, and keep them alive.
/// A message whose lists exceed their bounds may exceed kMessageBytesMax: the transport then refuses it as kTooLarge.
std::vector<SharedBytes> encode_parts(const Envelope& envelope);
/// The same bytes in one piece, appended; the caller keeps `out` to save allocations.
void encode_envelope(const Envelope& envelope, Bytes& out);
Bytes encode_envelope(const Envelope& envelope);
/// The pieces of regions in the result are lent: they are views of `bytes` (see kept() for whoever needs them longer).
/// kTooLarge, kMalformed, kForeignEvent: whoever sent it is broken, hostile or of another version.
Result<Envelope> decode_envelope(std::span<const std::byte> bytes);

inline constexpr std::size_t kHelloBytesMax = 4096;
void encode_hello(const Hello& hello, Bytes& out);
/// Whether it may be one, and is no envelope.
bool is_hello(std::span<const std::byte> bytes);
/// kMalformed also when the other end is not an RSE node at all, or its node id is 0.
Result<Hello> decode_hello(std::span<const std::byte> bytes);

inline constexpr std::size_t kSightFrameBytesMax = kSightBytes + 64;
Bytes encode_lattice_sight(const LatticeSight& sight);
/// Whether it may be one, and is no envelope.
bool is_lattice_sight(std::span<const std::byte> bytes);
Result<LatticeSight> decode_lattice_sight(std::span<const std::byte> bytes);

inline constexpr std::size_t kReportFrameBytesMax = kReportTextBytesMax + 64;
/// Of a longer text what may be sent of it; an age beyond kReportAgeMax is told as that.
Bytes encode_incident_report(IncidentReport report);
/// Whether it may be one, and is no envelope.
bool is_incident_report(std::span<const std::byte> bytes);
Result<IncidentReport> decode_incident_report(std::span<const std::byte> bytes);

Bytes encode_address_update(const AddressUpdate& update);
/// Whether it may be one, and is no envelope.
bool is_address_update(std::span<const std::byte> bytes);
Result<AddressUpdate> decode_address_update(std::span<const std::byte> bytes);

void encode_link_claim(const LinkClaim& claim, Bytes& out);
Result<LinkClaim> decode_link_claim(std::span<const std::byte> bytes);
void encode_link_grant(const LinkGrant& grant, Bytes& out);
Result<LinkGrant> decode_link_grant(std::span<const std::byte> bytes);

}  // namespace rse
