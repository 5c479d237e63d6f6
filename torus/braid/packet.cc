// The canonical bytes of seals and packets. Layout: fields in the order of their declaration, little-endian, counts and
// sizes u32; torus/braid/checkpoint.md spells it out.
#include "torus/braid/packet.h"

#include "torus/engine/program.h"

namespace rse {
namespace {

constexpr std::size_t kEventBytes = 8 + 4 + 4 + 4;
constexpr std::size_t kInjectionBytesMin = 8 + 8 + 1 + 4 + 4 + 4 + 4 + 4;

void put_text(ByteWriter& writer, const std::string& text) {
  writer.put_sized(std::as_bytes(std::span(text)));
}

std::string get_text(ByteReader& reader, std::size_t size_max) {
  const auto bytes = reader.get_sized(size_max);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void encode_batch(const std::vector<Event>& batch, ByteWriter& writer) {
  writer.put(static_cast<std::uint32_t>(batch.size()));
  for (const Event& event : batch) {
    writer.put(event.time);
    writer.put(event.dst);
    writer.put(event.src);
    writer.put(event.payload);
  }
}

/// Every event must come from `source` and go to `destination`: a batch cannot smuggle in anything else.
Result<std::vector<Event>> decode_batch(ByteReader& reader, TorusId source, TorusId destination) {
  const std::uint32_t count = reader.get_count(kEventBytes);
  if (!reader.ok()) return Error::kTruncated;
  if (count > kBatchEventsMax) return Error::kTooLarge;
  std::vector<Event> batch;
  batch.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto time = reader.get<Tick>();
    const auto dst = reader.get<CellId>();
    const auto src = reader.get<CellId>();
    batch.push_back({time, dst, src, reader.get<std::int32_t>()});
    if (src.raw / kCellCount != source.raw || dst.raw / kCellCount != destination.raw) {
      return Error::kForeignEvent;
    }
  }
  return batch;
}

}  // namespace

void encode_seal(const Seal& seal, Bytes& out) {
  ByteWriter writer(out);
  writer.put(static_cast<std::uint8_t>(seal.waiting));
  writer.put(static_cast<std::uint32_t>(seal.injections.size()));
  for (const Injection& injection : seal.injections) {
    writer.put(injection.client);
    writer.put(injection.sequence);
    writer.put(static_cast<std::uint8_t>(injection.kind));
    writer.put(injection.dst);
    writer.put(injection.src);
    writer.put(injection.payload);
    put_text(writer, injection.program);
    put_text(writer, injection.args);
  }
}

Result<Seal> decode_seal(ByteReader& reader) {
  const auto waiting = reader.get<std::uint8_t>();
  const std::uint32_t count = reader.get_count(kInjectionBytesMin);
  if (!reader.ok()) return Error::kTruncated;
  if (waiting > 1) return Error::kMalformed;
  if (count > kInjectionsPerSealMax) return Error::kTooLarge;
  Seal seal{waiting != 0, {}};
  seal.injections.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    Injection injection;
    injection.client = reader.get<ClientId>();
    injection.sequence = reader.get<std::uint64_t>();
    const auto kind = reader.get<std::uint8_t>();
    injection.kind = static_cast<Injection::Kind>(kind);
    injection.dst = reader.get<CellId>();
    injection.src = reader.get<CellId>();
    injection.payload = reader.get<std::int32_t>();
    injection.program = get_text(reader, kProgramNameBytesMax);
    injection.args = get_text(reader, kProgramArgsBytesMax);
    if (!reader.ok()) return Error::kTruncated;
    if (kind > static_cast<std::uint8_t>(Injection::Kind::kSpawn)) return Error::kMalformed;
    seal.injections.push_back(std::move(injection));
  }
  return seal;
}

Digest256 seal_hash(const Seal& seal) {
  Bytes bytes;
  encode_seal(seal, bytes);
  return digest_of(bytes);
}

void encode_packet(const Packet& packet, Bytes& out) {
  ByteWriter writer(out);
  writer.put(packet.run);
  writer.put(packet.torus);
  writer.put(packet.epoch);
  writer.put(packet.next_epoch);
  encode_seal(packet.seal, out);
  encode_projection(packet.projection, out);
  encode_batch(packet.batch_to_next, writer);
  encode_batch(packet.batch_to_previous, writer);
}

Result<Packet> decode_packet(ByteReader& reader) {
  Packet packet;
  packet.run = reader.get<RunId>();
  packet.torus = reader.get<TorusId>();
  packet.epoch = reader.get<Epoch>();
  packet.next_epoch = reader.get<Epoch>();
  if (!reader.ok()) return Error::kTruncated;
  if (packet.torus.raw >= kTorusCount || packet.next_epoch <= packet.epoch) {
    return Error::kMalformed;
  }
  RSE_TRY(packet.seal, decode_seal(reader));
  RSE_TRY(packet.projection, decode_projection(reader));
  const Projection& projection = packet.projection;
  if (projection.run != packet.run || projection.torus != packet.torus ||
      projection.epoch != packet.epoch) {
    return Error::kMalformed;
  }
  RSE_TRY(packet.batch_to_next, decode_batch(reader, packet.torus, next_torus(packet.torus)));
  RSE_TRY(packet.batch_to_previous, decode_batch(reader, packet.torus, previous_torus(packet.torus)));
  return packet;
}

}  // namespace rse
