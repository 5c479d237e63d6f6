// Bytes of an envelope to the plain struct, each bound checked on the way.
#include <google/protobuf/arena.h>

#include "transport/codec/codec.h"
#include "transport/codec/field_reader.h"
#include "transport/codec/regions_wire.h"

namespace rse {
namespace {

Heartbeat read(const v1::Heartbeat& from, FieldReader& fields) {
  Heartbeat to;
  to.view = {from.view()};
  to.run = {from.run()};
  to.sequence = from.sequence();
  fields.get(from.hears(), to.hears);
  fields.get(from.suspects(), to.suspects);
  fields.get(from.wanted(), to.wanted);
  fields.get(from.durable(), to.durable);
  fields.get(from.cut_complete(), to.cut_complete);
  fields.get(from.running(), to.running);
  fields.get(from.progress(), to.progress);
  fields.check(from.ready() < 1u << kTorusCount, Error::kMalformed);
  to.ready = static_cast<std::uint8_t>(from.ready());
  fields.check(from.settled() < 1u << kTorusCount, Error::kMalformed);
  to.settled = static_cast<std::uint8_t>(from.settled());
  to.undecided = from.undecided();
  return to;
}

PacketMessage read(const v1::PacketMessage& from, FieldReader& fields) {
  PacketMessage to;
  to.view = {from.view()};
  to.first = from.first();
  fields.get(from.packet(), to.packet);
  return to;
}

ShardPart read(const v1::ShardPart& from, FieldReader& fields) {
  ShardPart to;
  to.view = {from.view()};
  to.run = {from.run()};
  fields.get(from.torus(), to.torus);
  to.cut = from.cut();
  to.base = from.base();
  fields.get_halves(from.halves(), to.halves);
  to.part = from.part();
  to.last = from.last();
  fields.get(from.digests(), to.digests);
  return to;
}

ShardAck read(const v1::ShardAck& from, FieldReader& fields) {
  ShardAck to;
  to.view = {from.view()};
  to.run = {from.run()};
  fields.get(from.torus(), to.torus);
  to.cut = from.cut();
  fields.get_halves(from.halves(), to.halves);
  to.held = from.held();
  return to;
}

Gather read(const v1::Gather& from, FieldReader& fields) {
  Gather to;
  to.view = {from.view()};
  to.run = {from.run()};
  fields.get(from.torus(), to.torus);
  to.request = from.request();
  to.with_cut = from.with_cut();
  to.from_epoch = {from.from_epoch()};
  to.cut_wanted = from.cut_wanted();
  to.everything = from.everything();
  fields.get(from.have(), to.have);
  fields.check(from.held_size() <= static_cast<int>(kHoldingsMax), Error::kTooLarge);
  if (!fields.ok()) return to;
  for (const auto& held : from.held()) {
    HeldCut& one = to.held.emplace_back();
    one.cut = held.cut();
    fields.get_halves(held.halves(), one.halves);
  }
  return to;
}

GatherRegions read(const v1::GatherRegions& from, FieldReader& fields) {
  GatherRegions to;
  to.request = from.request();
  fields.get(from.torus(), to.torus);
  to.cut = from.cut();
  fields.get(from.digests(), to.digests);
  return to;
}

GatherPacket read(const v1::GatherPacket& from, FieldReader& fields) {
  GatherPacket to;
  to.request = from.request();
  fields.get(from.torus(), to.torus);
  fields.get(from.packet(), kMessageBytesMax, to.packet);
  return to;
}

GatherDone read(const v1::GatherDone& from, FieldReader& fields) {
  GatherDone to;
  to.request = from.request();
  fields.get(from.torus(), to.torus);
  to.view = {from.view()};
  to.refused = from.refused();
  to.region_messages = from.region_messages();
  to.packet_messages = from.packet_messages();
  to.seal_messages = from.seal_messages();
  return to;
}

GatherSeals read(const v1::GatherSeals& from, FieldReader& fields) {
  GatherSeals to;
  to.request = from.request();
  fields.get(from.torus(), to.torus);
  fields.check(from.seals_size() <= static_cast<int>(kSealsPerMessageMax), Error::kTooLarge);
  if (!fields.ok()) return to;
  to.seals.reserve(static_cast<std::size_t>(from.seals_size()));
  for (const auto& sealed : from.seals()) {
    SealedEpoch& one = to.seals.emplace_back();
    one.epoch = {sealed.epoch()};
    one.view = {sealed.view()};
    fields.get(sealed.seal(), one.seal);
    if (!fields.ok()) return to;
  }
  return to;
}

Prepare read(const v1::Prepare& from, FieldReader&) { return {{from.number()}, from.ballot()}; }

Promise read(const v1::Promise& from, FieldReader& fields) {
  Promise to;
  to.number = {from.number()};
  to.ballot = from.ballot();
  to.accepted_ballot = from.accepted_ballot();
  fields.check((to.accepted_ballot == 0) == from.accepted().empty(), Error::kMalformed);
  fields.get(from.accepted(), kViewBytesMax, to.accepted);
  return to;
}

Reject read(const v1::Reject& from, FieldReader&) {
  return {{from.number()}, from.ballot(), from.promised()};
}

Accept read(const v1::Accept& from, FieldReader& fields) {
  Accept to{{from.number()}, from.ballot(), {}};
  fields.get(from.view(), kViewBytesMax, to.view);
  return to;
}

Accepted read(const v1::Accepted& from, FieldReader&) { return {{from.number()}, from.ballot()}; }

Decided read(const v1::Decided& from, FieldReader& fields) {
  Decided to;
  fields.get(from.view(), kViewBytesMax, to.view);
  return to;
}

Join read(const v1::Join& from, FieldReader& fields) {
  Join to;
  fields.get(from.joiner(), to.joiner);
  to.view = {from.view()};
  fields.get(from.key(), to.key);
  to.ticket = from.ticket();
  return to;
}

TrustWish read(const v1::TrustWish& from, FieldReader& fields) {
  TrustWish to;
  const auto change = decode_trust_change(std::as_bytes(std::span(from.change())));
  fields.check(change.has_value(), Error::kMalformed);
  if (change) to.change = *change;
  return to;
}

TakeOver read(const v1::TakeOver& from, FieldReader& fields) {
  TakeOver to;
  to.view = {from.view()};
  fields.get(from.torus(), to.torus);
  to.caught_up = {from.caught_up()};
  return to;
}

Holdings read(const v1::Holdings& from, FieldReader& fields) {
  Holdings to;
  to.view = {from.view()};
  to.run = {from.run()};
  fields.get(from.self(), to.self);
  to.running = from.running();
  to.has_scenario = from.has_scenario();
  to.durable_cut = from.durable_cut();
  fields.check(from.cuts_size() <= static_cast<int>(kHoldingsMax), Error::kTooLarge);
  if (!fields.ok()) return to;
  for (const auto& cut : from.cuts()) {
    Holdings::Cut& one = to.cuts.emplace_back();
    fields.get(cut.torus(), one.torus);
    one.cut = cut.cut();
    fields.get_halves(cut.halves(), one.halves);
  }
  return to;
}

InjectRequest read(const v1::InjectRequest& from, FieldReader& fields) {
  InjectRequest to;
  to.run = {from.run()};
  fields.get(from.torus(), to.torus);
  fields.get(from.injection(), to.injection);
  fields.check(torus_of(to.injection.dst) == to.torus, Error::kForeignEvent);
  return to;
}

InjectAnswer read(const v1::InjectAnswer& from, FieldReader& fields) {
  InjectAnswer to;
  to.client = {from.client()};
  to.sequence = from.sequence();
  switch (from.status()) {
    case v1::InjectAnswer::ACCEPTED: to.status = InjectStatus::kAccepted; break;
    case v1::InjectAnswer::RUN_ENDED: to.status = InjectStatus::kRunEnded; break;
    case v1::InjectAnswer::TOO_MANY: to.status = InjectStatus::kTooMany; break;
    case v1::InjectAnswer::UNKNOWN_PROGRAM: to.status = InjectStatus::kUnknownProgram; break;
    default: fields.fail(Error::kMalformed);
  }
  to.sealed_in = {from.sealed_in()};
  return to;
}

ScenarioPart read(const v1::ScenarioPart& from, FieldReader& fields) {
  ScenarioPart to;
  fields.get(from.hash(), to.hash);
  to.total_bytes = from.total_bytes();
  to.offset = from.offset();
  fields.check(to.total_bytes <= kScenarioTotalMax, Error::kTooLarge);
  fields.check(to.offset <= to.total_bytes && from.bytes().size() <= to.total_bytes - to.offset,
               Error::kMalformed);
  fields.get(from.bytes(), kMessageBytesMax, to.bytes);
  return to;
}

ScenarioHeld read(const v1::ScenarioHeld& from, FieldReader& fields) {
  ScenarioHeld to;
  fields.get(from.hash(), to.hash);
  return to;
}

ScenarioWanted read(const v1::ScenarioWanted& from, FieldReader& fields) {
  ScenarioWanted to;
  fields.get(from.hash(), to.hash);
  return to;
}

void read_message(const v1::Envelope& wire, FieldReader& fields, Message& to) {
  switch (wire.message_case()) {
    case v1::Envelope::kHeartbeat: to = read(wire.heartbeat(), fields); break;
    case v1::Envelope::kPacketMessage: to = read(wire.packet_message(), fields); break;
    case v1::Envelope::kShardAck: to = read(wire.shard_ack(), fields); break;
    case v1::Envelope::kGather: to = read(wire.gather(), fields); break;
    case v1::Envelope::kGatherPacket: to = read(wire.gather_packet(), fields); break;
    case v1::Envelope::kGatherDone: to = read(wire.gather_done(), fields); break;
    case v1::Envelope::kPrepare: to = read(wire.prepare(), fields); break;
    case v1::Envelope::kPromise: to = read(wire.promise(), fields); break;
    case v1::Envelope::kReject: to = read(wire.reject(), fields); break;
    case v1::Envelope::kAccept: to = read(wire.accept(), fields); break;
    case v1::Envelope::kAccepted: to = read(wire.accepted(), fields); break;
    case v1::Envelope::kDecided: to = read(wire.decided(), fields); break;
    case v1::Envelope::kJoin: to = read(wire.join(), fields); break;
    case v1::Envelope::kTakeOver: to = read(wire.take_over(), fields); break;
    case v1::Envelope::kHoldings: to = read(wire.holdings(), fields); break;
    case v1::Envelope::kInjectRequest: to = read(wire.inject_request(), fields); break;
    case v1::Envelope::kInjectAnswer: to = read(wire.inject_answer(), fields); break;
    case v1::Envelope::kScenarioPart: to = read(wire.scenario_part(), fields); break;
    case v1::Envelope::kScenarioHeld: to = read(wire.scenario_held(), fields); break;
    case v1::Envelope::kScenarioWanted: to = read(wire.scenario_wanted(), fields); break;
    case v1::Envelope::kGatherSeals: to = read(wire.gather_seals(), fields); break;
    case v1::Envelope::kShardPart:
    case v1::Envelope::kGatherRegions:  // read by decode_regions(), unless something is wrong with them
    case v1::Envelope::kTrustWish: to = read(wire.trust_wish(), fields); break;
    case v1::Envelope::MESSAGE_NOT_SET: fields.fail(Error::kMalformed); break;
  }
}

/// `Wire` is the generated class of the message without its regions.
template <class Wire>
void read_regions(RegionsWire& apart, FieldReader& fields, Message& to) {
  Wire wire;
  if (!parse(apart.message, wire)) {
    fields.fail(Error::kMalformed);
    return;
  }
  auto message = read(wire, fields);
  message.pieces = std::move(apart.pieces);
  to = std::move(message);
}

Result<Envelope> decode_regions(RegionsWire apart) {
  v1::Envelope wire;
  if (!parse(apart.rest, wire)) return Error::kMalformed;
  FieldReader fields;
  Envelope envelope;
  envelope.origin = {wire.origin()};
  envelope.origin_incarnation = wire.origin_incarnation();
  envelope.destination = {wire.destination()};
  if (apart.field == kShardPartField) {
    read_regions<v1::ShardPart>(apart, fields, envelope.message);
  } else {
    read_regions<v1::GatherRegions>(apart, fields, envelope.message);
  }
  if (!fields.ok()) return fields.error();
  return envelope;
}

}  // namespace

Result<Envelope> decode_envelope(std::span<const std::byte> bytes) {
  if (bytes.size() > kMessageBytesMax) return Error::kTooLarge;
  RSE_TRY(std::optional<RegionsWire> apart, take_regions_apart(bytes));
  if (apart) return decode_regions(std::move(*apart));
  alignas(8) char block[4096];
  google::protobuf::Arena arena(block, sizeof block);
  auto& wire = *google::protobuf::Arena::CreateMessage<v1::Envelope>(&arena);
  if (!parse(bytes, wire)) return Error::kMalformed;
  FieldReader fields;
  Envelope envelope;
  envelope.origin = {wire.origin()};
  envelope.origin_incarnation = wire.origin_incarnation();
  envelope.destination = {wire.destination()};
  read_message(wire, fields, envelope.message);
  if (!fields.ok()) return fields.error();
  return envelope;
}

}  // namespace rse
