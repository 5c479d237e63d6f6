#include <google/protobuf/arena.h>

#include <algorithm>

#include "proto/rse/v1/messages.pb.h"
#include "torus/engine/program.h"
#include "transport/codec/codec.h"
#include "transport/codec/hello_magic.h"
#include "transport/codec/wire_scan.h"

namespace rse {
namespace {

using google::protobuf::RepeatedField;
using google::protobuf::RepeatedPtrField;

constexpr std::uint32_t kRegionsMax = 129;  // 0..128, see Region in messages.h
constexpr std::size_t kDigestBytes = sizeof(Digest256::bytes);
constexpr std::uint32_t kScenarioTotalMax = 64u << 20;  // kScenarioBytesMax
/// Every view fits: members with all their addresses, then at most 256 bytes of the rest.
constexpr std::size_t kViewBytesMax =
    kMembersMax * (24 + kNodeNameBytesMax + kAddressesMax * (4 + kAddressBytesMax)) + 256;

/// Copies fields out of the generated classes and latches the first thing that is out of bounds.
class FieldReader {
 public:
  bool ok() const { return !failed_; }
  Error error() const { return error_; }
  void fail(Error error) {
    if (!failed_) error_ = error;
    failed_ = true;
  }
  void check(bool condition, Error error) {
    if (!condition) fail(error);
  }

  void get(std::uint32_t from, TorusId& to) {
    check(from < kTorusCount, Error::kWrongTorus);
    to = {static_cast<std::uint8_t>(from)};
  }
  void get_halves(std::uint32_t from, Halves& to) {
    check(from <= kBothHalves, Error::kMalformed);
    to = static_cast<Halves>(from);
  }
  void get(const std::string& from, std::size_t size_max, Bytes& to) {
    check(from.size() <= size_max, Error::kTooLarge);
    if (!ok()) return;
    const auto* data = reinterpret_cast<const std::byte*>(from.data());
    to.assign(data, data + from.size());
  }
  void get(const std::string& from, std::size_t size_max, std::string& to) {
    check(from.size() <= size_max, Error::kTooLarge);
    if (ok()) to = from;
  }
  void get(const std::string& from, Digest256& to) {
    check(from.size() == kDigestBytes, Error::kMalformed);
    if (ok()) std::memcpy(to.bytes.data(), from.data(), kDigestBytes);
  }
  void get(const std::string& from, std::vector<Digest256>& to) {
    check(from.empty() || from.size() == kRegionsMax * kDigestBytes, Error::kMalformed);
    if (!ok()) return;
    to.resize(from.size() / kDigestBytes);
    for (std::size_t i = 0; i < to.size(); ++i) {
      std::memcpy(to[i].bytes.data(), from.data() + i * kDigestBytes, kDigestBytes);
    }
  }
  void get(const RepeatedField<std::uint64_t>& from, std::vector<NodeId>& to) {
    check(from.size() <= static_cast<int>(kMembersMax), Error::kTooLarge);
    if (!ok()) return;
    to.reserve(static_cast<std::size_t>(from.size()));
    for (std::uint64_t id : from) to.push_back({id});
  }
  template <class T>
  void get(const RepeatedField<std::uint64_t>& from, std::array<T, kTorusCount>& to) {
    check(from.size() == static_cast<int>(kTorusCount), Error::kMalformed);
    if (!ok()) return;
    for (std::size_t i = 0; i < kTorusCount; ++i) to[i] = T{from[static_cast<int>(i)]};
  }

  void get(const v1::Member& from, Member& to) {
    to.node = {from.node()};
    to.incarnation = from.incarnation();
    get(from.name(), kNodeNameBytesMax, to.name);
    check(from.addresses_size() <= static_cast<int>(kAddressesMax), Error::kTooLarge);
    if (!ok()) return;
    for (const std::string& address : from.addresses()) {
      get(address, kAddressBytesMax, to.addresses.emplace_back());
    }
  }
  void get(const v1::Injection& from, Injection& to) {
    to.client = {from.client()};
    to.sequence = from.sequence();
    switch (from.kind()) {
      case v1::Injection::EVENT: to.kind = Injection::Kind::kEvent; break;
      case v1::Injection::SPAWN: to.kind = Injection::Kind::kSpawn; break;
      default: fail(Error::kMalformed);
    }
    to.dst = {from.dst()};
    to.src = {from.src()};
    check(to.dst.raw / kCellCount < kTorusCount && to.src.raw / kCellCount < kTorusCount,
          Error::kForeignEvent);
    to.payload = from.payload();
    get(from.program(), kProgramNameBytesMax, to.program);
    get(from.args(), kProgramArgsBytesMax, to.args);
  }
  void get(const v1::Seal& from, Seal& to) {
    to.waiting = from.waiting();
    check(from.injections_size() <= static_cast<int>(kInjectionsPerSealMax), Error::kTooLarge);
    if (!ok()) return;
    to.injections.reserve(static_cast<std::size_t>(from.injections_size()));
    for (const auto& injection : from.injections()) {
      get(injection, to.injections.emplace_back());
      if (!ok()) return;
    }
  }
  void get(const v1::EventBatch& from, TorusId source, TorusId destination,
           std::vector<Event>& to) {
    const int count = from.time_size();
    check(count <= static_cast<int>(kBatchEventsMax), Error::kTooLarge);
    check(from.dst_size() == count && from.src_size() == count && from.payload_size() == count,
          Error::kMalformed);
    if (!ok()) return;
    to.reserve(static_cast<std::size_t>(count));
    bool at_home = true;
    for (int i = 0; i < count; ++i) {
      at_home &= from.src(i) / kCellCount == source.raw;
      at_home &= from.dst(i) / kCellCount == destination.raw;
      to.push_back({{from.time(i)}, {from.dst(i)}, {from.src(i)}, from.payload(i)});
    }
    check(at_home, Error::kForeignEvent);
  }
  void get(const v1::Projection& from, Projection& to) {
    check(from.boundary_states_size() == static_cast<int>(kFaceCellCount) &&
              from.constraint_vector_size() == static_cast<int>(to.constraint_vector.size()),
          Error::kMalformed);
    if (!ok()) return;
    to.run = {from.run()};
    get(from.torus(), to.torus);
    to.epoch = {from.epoch()};
    to.end_tick = {from.end_tick()};
    to.events = from.events();
    to.pending = from.pending();
    to.refused = from.refused();
    to.processes = from.processes();
    to.edges = from.edges();
    to.load = from.load();
    to.next_event_time = {from.next_event_time()};
    to.quiet = from.quiet();
    std::copy(from.boundary_states().begin(), from.boundary_states().end(),
              to.boundary_states.begin());
    std::copy(from.constraint_vector().begin(), from.constraint_vector().end(),
              to.constraint_vector.begin());
    to.violations = from.violations();
    to.event_digest = from.event_digest();
  }
  /// Refuses what decode_packet() refuses.
  void get(const v1::Packet& from, Packet& to) {
    to.run = {from.run()};
    get(from.torus(), to.torus);
    to.epoch = {from.epoch()};
    to.next_epoch = {from.next_epoch()};
    check(to.next_epoch > to.epoch, Error::kMalformed);
    if (!ok()) return;
    get(from.seal(), to.seal);
    get(from.projection(), to.projection);
    check(to.projection.run == to.run && to.projection.torus == to.torus &&
              to.projection.epoch == to.epoch,
          Error::kMalformed);
    get(from.batch_to_next(), to.torus, next_torus(to.torus), to.batch_to_next);
    get(from.batch_to_previous(), to.torus, previous_torus(to.torus), to.batch_to_previous);
  }
  /// A region may not be there twice: more than kRegionsMax are refused before any is copied.
  void get(const RepeatedPtrField<v1::Region>& from, std::vector<Region>& to) {
    check(from.size() <= static_cast<int>(kRegionsMax), Error::kTooLarge);
    if (!ok()) return;
    to.reserve(static_cast<std::size_t>(from.size()));
    for (const auto& region : from) {
      check(region.index() < kRegionsMax, Error::kMalformed);
      if (!ok()) return;
      Region& one = to.emplace_back();
      one.index = static_cast<std::uint8_t>(region.index());
      get(region.bytes(), kMessageBytesMax, one.bytes);
    }
  }

 private:
  Error error_{};
  bool failed_ = false;
};

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
  fields.get(from.regions(), to.regions);
  return to;
}

ShardAck read(const v1::ShardAck& from, FieldReader& fields) {
  ShardAck to;
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
  return to;
}

GatherRegions read(const v1::GatherRegions& from, FieldReader& fields) {
  GatherRegions to;
  to.request = from.request();
  fields.get(from.torus(), to.torus);
  to.cut = from.cut();
  fields.get(from.digests(), to.digests);
  fields.get(from.regions(), to.regions);
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
  fields.check(from.seals_size() <= static_cast<int>(kSealedEpochsMax), Error::kTooLarge);
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
    case v1::Envelope::kShardPart: to = read(wire.shard_part(), fields); break;
    case v1::Envelope::kShardAck: to = read(wire.shard_ack(), fields); break;
    case v1::Envelope::kGather: to = read(wire.gather(), fields); break;
    case v1::Envelope::kGatherRegions: to = read(wire.gather_regions(), fields); break;
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
    case v1::Envelope::MESSAGE_NOT_SET: fields.fail(Error::kMalformed); break;
  }
}

/// Scans, then parses: false for bytes that are no `M` or would cost too much memory.
template <class M>
bool parse(std::span<const std::byte> bytes, M& wire) {
  std::size_t objects = kWireObjectsMax;
  return scan_wire(bytes, *M::descriptor(), objects) &&
         wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

Result<Envelope> decode_envelope(std::span<const std::byte> bytes) {
  if (bytes.size() > kMessageBytesMax) return Error::kTooLarge;
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
