#include "transport/codec/regions_wire.h"

#include "proto/rse/v1/messages.pb.h"
#include "transport/codec/wire_reader.h"

namespace rse {
namespace {

static_assert(kShardPartField == v1::Envelope::kShardPartFieldNumber);
static_assert(kGatherRegionsField == v1::Envelope::kGatherRegionsFieldNumber);
static_assert(kShardPartRegions == v1::ShardPart::kRegionsFieldNumber);
static_assert(kGatherRegionsRegions == v1::GatherRegions::kRegionsFieldNumber);
constexpr std::uint32_t kFirstMessageField = v1::Envelope::kHeartbeatFieldNumber;
constexpr std::uint32_t kLastMessageField = v1::Envelope::kTrustWishFieldNumber;

// --- Writing. ---

void put_varint(std::uint64_t value, Bytes& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::byte>(value | 0x80));
  out.push_back(static_cast<std::byte>(value));
}

void put_sized(std::uint32_t number, std::size_t size, Bytes& out) {
  put_varint(std::uint64_t{number} << 3 | 2, out);
  put_varint(size, out);
}

void put_number(std::uint32_t number, std::uint64_t value, Bytes& out) {
  if (value == 0) return;
  put_varint(std::uint64_t{number} << 3, out);
  put_varint(value, out);
}

void append(const google::protobuf::MessageLite& message, Bytes& out) {
  const std::size_t before = out.size();
  const std::size_t size = message.ByteSizeLong();
  out.resize(before + size);
  message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data()) + before);
}

/// Everything of a piece up to its bytes: tag and size of the piece, its numbers, tag and size of the bytes.
Bytes piece_header(std::uint32_t regions_field, const RegionPiece& piece) {
  const std::size_t size = piece.bytes.bytes.size();
  Bytes fields;
  put_number(v1::Region::kIndexFieldNumber, piece.index, fields);
  put_number(v1::Region::kTotalFieldNumber, piece.total, fields);
  put_number(v1::Region::kOffsetFieldNumber, piece.offset, fields);
  if (size > 0) put_sized(v1::Region::kBytesFieldNumber, size, fields);
  Bytes header;
  put_sized(regions_field, fields.size() + size, header);
  header.insert(header.end(), fields.begin(), fields.end());
  return header;
}

void put_digests(const std::vector<Digest256>& from, std::string* to) {
  to->reserve(from.size() * sizeof(Digest256::bytes));
  for (const Digest256& digest : from) {
    to->append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  }
}

v1::ShardPart without_regions(const ShardPart& from) {
  v1::ShardPart to;
  to.set_view(from.view.raw);
  to.set_run(from.run.raw);
  to.set_torus(from.torus.raw);
  to.set_cut(from.cut);
  to.set_base(from.base);
  to.set_halves(from.halves);
  to.set_part(from.part);
  to.set_last(from.last);
  put_digests(from.digests, to.mutable_digests());
  return to;
}

v1::GatherRegions without_regions(const GatherRegions& from) {
  v1::GatherRegions to;
  to.set_request(from.request);
  to.set_torus(from.torus.raw);
  to.set_cut(from.cut);
  put_digests(from.digests, to.mutable_digests());
  return to;
}

template <class M>
std::vector<SharedBytes> encode(const Envelope& envelope, const M& message, std::uint32_t field, std::uint32_t regions_field) {
  Bytes small;
  append(without_regions(message), small);
  std::size_t size = small.size();
  std::vector<Bytes> headers;
  for (const RegionPiece& piece : message.pieces) {
    headers.push_back(piece_header(regions_field, piece));
    size += headers.back().size() + piece.bytes.bytes.size();
  }
  v1::Envelope wire;
  wire.set_origin(envelope.origin.raw);
  wire.set_origin_incarnation(envelope.origin_incarnation);
  wire.set_destination(envelope.destination.raw);
  Bytes front;
  append(wire, front);
  put_sized(field, size, front);
  front.insert(front.end(), small.begin(), small.end());

  std::vector<SharedBytes> parts;
  const auto add_own = [&parts](Bytes bytes) {
    auto shared = std::make_shared<const Bytes>(std::move(bytes));
    parts.emplace_back(std::span<const std::byte>(*shared), shared);
  };
  for (std::size_t i = 0; i < message.pieces.size(); ++i) {
    front.insert(front.end(), headers[i].begin(), headers[i].end());
    add_own(std::exchange(front, {}));
    if (!message.pieces[i].bytes.bytes.empty()) parts.push_back(message.pieces[i].bytes);
  }
  if (!front.empty()) add_own(std::move(front));
  return parts;
}

// --- Reading. ---

Result<RegionPiece> read_piece(std::span<const std::byte> bytes) {
  RegionPiece piece;
  std::uint64_t index = 0, total = 0, offset = 0;
  for (WireReader reader(bytes); !reader.at_end();) {
    WireField field;
    if (!reader.field(field)) return Error::kMalformed;
    const bool number = field.type == WireType::kVarint;
    if (number && field.number == v1::Region::kIndexFieldNumber) index = field.value;
    if (number && field.number == v1::Region::kTotalFieldNumber) total = field.value;
    if (number && field.number == v1::Region::kOffsetFieldNumber) offset = field.value;
    if (field.type == WireType::kSized && field.number == v1::Region::kBytesFieldNumber) {
      piece.bytes = SharedBytes(field.bytes);
    }
  }
  if (index >= kRegionCount) return Error::kMalformed;
  if (total > kRegionBytesMax) return Error::kTooLarge;
  if (offset > total || piece.bytes.bytes.size() > total - offset) return Error::kMalformed;
  piece.index = static_cast<std::uint8_t>(index);
  piece.total = static_cast<std::uint32_t>(total);
  piece.offset = static_cast<std::uint32_t>(offset);
  return piece;
}

void copy(std::span<const std::byte> from, Bytes& to) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

bool carries_regions(const Message& message) {
  return std::holds_alternative<ShardPart>(message) || std::holds_alternative<GatherRegions>(message);
}

std::vector<SharedBytes> encode_regions(const Envelope& envelope) {
  if (const auto* part = std::get_if<ShardPart>(&envelope.message)) {
    return encode(envelope, *part, kShardPartField, kShardPartRegions);
  }
  return encode(envelope, std::get<GatherRegions>(envelope.message), kGatherRegionsField, kGatherRegionsRegions);
}

Result<std::optional<RegionsWire>> take_regions_apart(std::span<const std::byte> bytes) {
  RegionsWire out;
  std::span<const std::byte> message;
  for (WireReader reader(bytes); !reader.at_end();) {
    WireField field;
    if (!reader.field(field)) return std::optional<RegionsWire>{};
    if (field.number < kFirstMessageField || field.number > kLastMessageField) {
      if (out.rest.size() + field.whole.size() > kPartBytes) return Error::kTooLarge;
      copy(field.whole, out.rest);
      continue;
    }
    const bool ours = field.type == WireType::kSized &&
                      (field.number == kShardPartField || field.number == kGatherRegionsField);
    if (!ours || out.field != 0) return std::optional<RegionsWire>{};
    out.field = field.number;
    message = field.bytes;
  }
  if (out.field == 0) return std::optional<RegionsWire>{};
  const std::uint32_t regions = out.field == kShardPartField ? kShardPartRegions : kGatherRegionsRegions;
  for (WireReader reader(message); !reader.at_end();) {
    WireField field;
    if (!reader.field(field)) return Error::kMalformed;
    if (field.number != regions || field.type != WireType::kSized) {
      if (out.message.size() + field.whole.size() > kPartBytes) return Error::kTooLarge;
      copy(field.whole, out.message);
      continue;
    }
    if (out.pieces.size() == kRegionCount) return Error::kTooLarge;
    RSE_TRY(RegionPiece piece, read_piece(field.bytes));
    out.pieces.push_back(std::move(piece));
  }
  return std::optional<RegionsWire>(std::move(out));
}

}  // namespace rse
