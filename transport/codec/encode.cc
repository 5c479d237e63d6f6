#include <google/protobuf/arena.h>

#include "proto/rse/v1/messages.pb.h"
#include "transport/codec/codec.h"
#include "transport/codec/hello_magic.h"
#include "transport/codec/regions_wire.h"

namespace rse {
namespace {

void put_bytes(const Bytes& from, std::string* to) {
  to->assign(reinterpret_cast<const char*>(from.data()), from.size());
}

void put_digest(const Digest256& from, std::string* to) {
  to->assign(reinterpret_cast<const char*>(from.bytes.data()), from.bytes.size());
}

void put_key(const PublicKey& from, std::string* to) {
  if (!from.is_none()) to->assign(reinterpret_cast<const char*>(from.bytes.data()), from.bytes.size());
}

template <class Range>
void put_ids(const Range& from, google::protobuf::RepeatedField<std::uint64_t>* to) {
  to->Reserve(static_cast<int>(from.size()));
  for (const auto& id : from) {
    if constexpr (requires { id.raw; }) {
      to->AddAlreadyReserved(id.raw);
    } else {
      to->AddAlreadyReserved(id);
    }
  }
}

void put(const Member& from, v1::Member* to) {
  to->set_node(from.node.raw);
  to->set_incarnation(from.incarnation);
  to->set_name(from.name);
  for (const std::string& address : from.addresses) to->add_addresses(address);
}

void put(const std::vector<Event>& from, v1::EventBatch* to) {
  const int count = static_cast<int>(from.size());
  to->mutable_time()->Reserve(count);
  to->mutable_dst()->Reserve(count);
  to->mutable_src()->Reserve(count);
  to->mutable_payload()->Reserve(count);
  for (const Event& event : from) {
    to->mutable_time()->AddAlreadyReserved(event.time.raw);
    to->mutable_dst()->AddAlreadyReserved(event.dst.raw);
    to->mutable_src()->AddAlreadyReserved(event.src.raw);
    to->mutable_payload()->AddAlreadyReserved(event.payload);
  }
}

void put(const Injection& from, v1::Injection* to) {
  to->set_client(from.client.raw);
  to->set_sequence(from.sequence);
  to->set_kind(static_cast<v1::Injection::Kind>(from.kind));
  to->set_dst(from.dst.raw);
  to->set_src(from.src.raw);
  to->set_payload(from.payload);
  to->set_program(from.program);
  to->set_args(from.args);
}

void put(const Seal& from, v1::Seal* to) {
  to->set_waiting(from.waiting);
  for (const Injection& injection : from.injections) put(injection, to->add_injections());
}

void put(const Projection& from, v1::Projection* to) {
  to->set_run(from.run.raw);
  to->set_torus(from.torus.raw);
  to->set_epoch(from.epoch.raw);
  to->set_end_tick(from.end_tick.raw);
  to->set_events(from.events);
  to->set_pending(from.pending);
  to->set_refused(from.refused);
  to->set_processes(from.processes);
  to->set_edges(from.edges);
  to->set_load(from.load);
  to->set_next_event_time(from.next_event_time.raw);
  to->set_quiet(from.quiet);
  to->mutable_boundary_states()->Add(from.boundary_states.begin(), from.boundary_states.end());
  to->mutable_constraint_vector()->Add(from.constraint_vector.begin(),
                                       from.constraint_vector.end());
  to->set_violations(from.violations);
  to->set_event_digest(from.event_digest);
}

void put(const Packet& from, v1::Packet* to) {
  to->set_run(from.run.raw);
  to->set_torus(from.torus.raw);
  to->set_epoch(from.epoch.raw);
  to->set_next_epoch(from.next_epoch.raw);
  put(from.seal, to->mutable_seal());
  put(from.projection, to->mutable_projection());
  put(from.batch_to_next, to->mutable_batch_to_next());
  put(from.batch_to_previous, to->mutable_batch_to_previous());
}

/// Puts each kind of message into its place in the envelope. A new kind fails to compile until it has one.
struct MessageWriter {
  v1::Envelope& out;

  void operator()(const Heartbeat& from) const {
    auto* to = out.mutable_heartbeat();
    to->set_view(from.view.raw);
    to->set_run(from.run.raw);
    to->set_sequence(from.sequence);
    put_ids(from.hears, to->mutable_hears());
    put_ids(from.suspects, to->mutable_suspects());
    put_ids(from.wanted, to->mutable_wanted());
    put_ids(from.durable, to->mutable_durable());
    put_ids(from.cut_complete, to->mutable_cut_complete());
    put_ids(from.running, to->mutable_running());
    put_ids(from.progress, to->mutable_progress());
    to->set_ready(from.ready);
    to->set_settled(from.settled);
    to->set_undecided(from.undecided);
  }
  void operator()(const PacketMessage& from) const {
    auto* to = out.mutable_packet_message();
    to->set_view(from.view.raw);
    to->set_first(from.first);
    put(from.packet, to->mutable_packet());
  }
  void operator()(const ShardPart&) const { RSE_ASSERT(false, "encode_parts() writes what carries regions"); }
  void operator()(const GatherRegions&) const { RSE_ASSERT(false, "encode_parts() writes what carries regions"); }
  void operator()(const ShardAck& from) const {
    auto* to = out.mutable_shard_ack();
    to->set_view(from.view.raw);
    to->set_run(from.run.raw);
    to->set_torus(from.torus.raw);
    to->set_cut(from.cut);
    to->set_halves(from.halves);
    to->set_held(from.held);
  }
  void operator()(const Gather& from) const {
    auto* to = out.mutable_gather();
    to->set_view(from.view.raw);
    to->set_run(from.run.raw);
    to->set_torus(from.torus.raw);
    to->set_request(from.request);
    to->set_with_cut(from.with_cut);
    to->set_from_epoch(from.from_epoch.raw);
    to->set_cut_wanted(from.cut_wanted);
    to->set_everything(from.everything);
    for (const Epoch epoch : from.have) to->add_have(epoch.raw);
    for (const HeldCut& held : from.held) {
      auto* one = to->add_held();
      one->set_cut(held.cut);
      one->set_halves(held.halves);
    }
  }
  void operator()(const GatherPacket& from) const {
    auto* to = out.mutable_gather_packet();
    to->set_request(from.request);
    to->set_torus(from.torus.raw);
    put_bytes(from.packet, to->mutable_packet());
  }
  void operator()(const GatherDone& from) const {
    auto* to = out.mutable_gather_done();
    to->set_request(from.request);
    to->set_torus(from.torus.raw);
    to->set_view(from.view.raw);
    to->set_refused(from.refused);
    to->set_region_messages(from.region_messages);
    to->set_packet_messages(from.packet_messages);
    to->set_seal_messages(from.seal_messages);
  }
  void operator()(const GatherSeals& from) const {
    auto* to = out.mutable_gather_seals();
    to->set_request(from.request);
    to->set_torus(from.torus.raw);
    for (const SealedEpoch& sealed : from.seals) {
      auto* one = to->add_seals();
      one->set_epoch(sealed.epoch.raw);
      one->set_view(sealed.view.raw);
      put(sealed.seal, one->mutable_seal());
    }
  }
  void operator()(const Prepare& from) const {
    auto* to = out.mutable_prepare();
    to->set_number(from.number.raw);
    to->set_ballot(from.ballot);
  }
  void operator()(const Promise& from) const {
    auto* to = out.mutable_promise();
    to->set_number(from.number.raw);
    to->set_ballot(from.ballot);
    to->set_accepted_ballot(from.accepted_ballot);
    put_bytes(from.accepted, to->mutable_accepted());
  }
  void operator()(const Reject& from) const {
    auto* to = out.mutable_reject();
    to->set_number(from.number.raw);
    to->set_ballot(from.ballot);
    to->set_promised(from.promised);
  }
  void operator()(const Accept& from) const {
    auto* to = out.mutable_accept();
    to->set_number(from.number.raw);
    to->set_ballot(from.ballot);
    put_bytes(from.view, to->mutable_view());
  }
  void operator()(const Accepted& from) const {
    auto* to = out.mutable_accepted();
    to->set_number(from.number.raw);
    to->set_ballot(from.ballot);
  }
  void operator()(const Decided& from) const {
    put_bytes(from.view, out.mutable_decided()->mutable_view());
  }
  void operator()(const Join& from) const {
    auto* to = out.mutable_join();
    put(from.joiner, to->mutable_joiner());
    to->set_view(from.view.raw);
    put_key(from.key, to->mutable_key());
    to->set_ticket(from.ticket);
  }
  void operator()(const TrustWish& from) const {
    Bytes change;
    encode_trust_change(from.change, change);
    put_bytes(change, out.mutable_trust_wish()->mutable_change());
  }
  void operator()(const TakeOver& from) const {
    auto* to = out.mutable_take_over();
    to->set_view(from.view.raw);
    to->set_torus(from.torus.raw);
    to->set_caught_up(from.caught_up.raw);
  }
  void operator()(const Holdings& from) const {
    auto* to = out.mutable_holdings();
    to->set_view(from.view.raw);
    to->set_run(from.run.raw);
    put(from.self, to->mutable_self());
    to->set_running(from.running);
    to->set_has_scenario(from.has_scenario);
    to->set_durable_cut(from.durable_cut);
    for (const Holdings::Cut& cut : from.cuts) {
      auto* one = to->add_cuts();
      one->set_torus(cut.torus.raw);
      one->set_cut(cut.cut);
      one->set_halves(cut.halves);
    }
  }
  void operator()(const InjectRequest& from) const {
    auto* to = out.mutable_inject_request();
    to->set_run(from.run.raw);
    to->set_torus(from.torus.raw);
    put(from.injection, to->mutable_injection());
  }
  void operator()(const InjectAnswer& from) const {
    auto* to = out.mutable_inject_answer();
    to->set_client(from.client.raw);
    to->set_sequence(from.sequence);
    to->set_status(static_cast<v1::InjectAnswer::Status>(from.status));
    to->set_sealed_in(from.sealed_in.raw);
  }
  void operator()(const ScenarioPart& from) const {
    auto* to = out.mutable_scenario_part();
    put_digest(from.hash, to->mutable_hash());
    to->set_total_bytes(from.total_bytes);
    to->set_offset(from.offset);
    put_bytes(from.bytes, to->mutable_bytes());
  }
  void operator()(const ScenarioHeld& from) const {
    put_digest(from.hash, out.mutable_scenario_held()->mutable_hash());
  }
  void operator()(const ScenarioWanted& from) const {
    put_digest(from.hash, out.mutable_scenario_wanted()->mutable_hash());
  }
};

void append(const google::protobuf::MessageLite& message, Bytes& out) {
  const std::size_t before = out.size();
  const std::size_t size = message.ByteSizeLong();
  out.resize(before + size);
  message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data()) + before);
}

}  // namespace

void encode_envelope(const Envelope& envelope, Bytes& out) {
  if (carries_regions(envelope.message)) {
    for (const SharedBytes& part : encode_regions(envelope)) {
      out.insert(out.end(), part.bytes.begin(), part.bytes.end());
    }
    return;
  }
  alignas(8) char block[4096];  // the small messages, which are most, need no other memory
  google::protobuf::Arena arena(block, sizeof block);
  auto& wire = *google::protobuf::Arena::CreateMessage<v1::Envelope>(&arena);
  wire.set_origin(envelope.origin.raw);
  wire.set_origin_incarnation(envelope.origin_incarnation);
  wire.set_destination(envelope.destination.raw);
  std::visit(MessageWriter{wire}, envelope.message);
  append(wire, out);
}

Bytes encode_envelope(const Envelope& envelope) {
  Bytes out;
  encode_envelope(envelope, out);
  return out;
}

std::vector<SharedBytes> encode_parts(const Envelope& envelope) {
  if (carries_regions(envelope.message)) return encode_regions(envelope);
  auto bytes = std::make_shared<const Bytes>(encode_envelope(envelope));
  return {{std::span<const std::byte>(*bytes), bytes}};
}

void encode_hello(const Hello& hello, Bytes& out) {
  v1::Hello wire;
  wire.set_magic(kHelloMagic);
  wire.set_protocol_min(hello.protocol_min);
  wire.set_protocol_max(hello.protocol_max);
  wire.set_cluster(hello.cluster.raw);
  put(hello.self, wire.mutable_self());
  wire.set_refusal(hello.refusal.substr(0, kRefusalBytesMax));
  append(wire, out);
}

void encode_link_claim(const LinkClaim& claim, Bytes& out) {
  v1::LinkClaim wire;
  wire.set_link(claim.link);
  append(wire, out);
}

void encode_link_grant(const LinkGrant& grant, Bytes& out) {
  v1::LinkGrant wire;
  wire.set_link(grant.link);
  wire.set_refusal(grant.refusal.substr(0, kRefusalBytesMax));
  append(wire, out);
}

}  // namespace rse
