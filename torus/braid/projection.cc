// The canonical bytes of a projection: every field, in the order of its declaration, fixed width.
#include "torus/braid/packet.h"

#include <cstring>

namespace rse {
namespace {

constexpr std::size_t kProjectionBytes =
    8 + 1 + 3 * 8 + 5 * 8 + 8 + 1 + kFaceCellCount * 4 + 16 * 8 + 2 * 8;
static_assert(kProjectionBytes <= kProjectionBytesMax);

}  // namespace

void encode_projection(const Projection& projection, Bytes& out) {
  const std::size_t before = out.size();
  out.reserve(before + kProjectionBytes);
  ByteWriter writer(out);
  writer.put(projection.run);
  writer.put(projection.torus);
  writer.put(projection.epoch);
  writer.put(projection.end_tick);
  writer.put(projection.events);
  writer.put(projection.pending);
  writer.put(projection.refused);
  writer.put(projection.processes);
  writer.put(projection.edges);
  writer.put(projection.load);
  writer.put(projection.next_event_time);
  writer.put(static_cast<std::uint8_t>(projection.quiet));
  writer.put_bytes(std::as_bytes(std::span(projection.boundary_states)));
  writer.put_bytes(std::as_bytes(std::span(projection.constraint_vector)));
  writer.put(projection.violations);
  writer.put(projection.event_digest);
  RSE_ASSERT(out.size() - before == kProjectionBytes, "a projection has constant size");
}

Digest256 projection_digest(const Projection& projection) {
  Bytes bytes;
  encode_projection(projection, bytes);
  return digest_of(bytes);
}

Result<Projection> decode_projection(ByteReader& reader) {
  Projection projection;
  projection.run = reader.get<RunId>();
  projection.torus = reader.get<TorusId>();
  projection.epoch = reader.get<Epoch>();
  projection.end_tick = reader.get<Tick>();
  projection.events = reader.get<std::uint64_t>();
  projection.pending = reader.get<std::uint64_t>();
  projection.refused = reader.get<std::uint64_t>();
  projection.processes = reader.get<std::uint64_t>();
  projection.edges = reader.get<std::uint64_t>();
  projection.load = reader.get<std::uint64_t>();
  projection.next_event_time = reader.get<Tick>();
  const auto quiet = reader.get<std::uint8_t>();
  projection.quiet = quiet != 0;
  const auto states = reader.get_bytes(sizeof projection.boundary_states);  // little-endian, as here
  if (!states.empty()) std::memcpy(projection.boundary_states.data(), states.data(), states.size());
  for (std::int64_t& value : projection.constraint_vector) value = reader.get<std::int64_t>();
  projection.violations = reader.get<std::uint64_t>();
  projection.event_digest = reader.get<std::uint64_t>();
  if (!reader.ok()) return Error::kTruncated;
  if (projection.torus.raw >= kTorusCount || quiet > 1) return Error::kMalformed;
  return projection;
}

}  // namespace rse
