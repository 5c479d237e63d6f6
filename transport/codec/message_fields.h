// What each message of proto/rse/v1/messages.proto consists of, once: the numbers and types of its fields, where they lie in the
// structs, and their bounds. WireWriter and FieldsReader go through these; codec_test.cc checks them against libprotobuf.
// Fields come in the order of their numbers, but for the bytes of a region, which come last.
#pragma once

#include <algorithm>
#include <type_traits>

#include "torus/braid/messages.h"
#include "torus/engine/program.h"
#include "torus/watch/incident_report.h"
#include "torus/watch/lattice_sight.h"
#include "transport/address_update.h"
#include "transport/codec/frame_magic.h"
#include "transport/handshake.h"

namespace rse {

inline constexpr std::uint32_t kScenarioTotalMax = 64u << 20;  // kScenarioBytesMax
/// Every view fits: members with all their addresses, its trust, then at most 256 bytes of the rest.
inline constexpr std::size_t kViewBytesMax =
    kMembersMax * (25 + kNodeNameBytesMax + kAddressesMax * (4 + kAddressBytesMax)) + kTrustBytesMax + 256;

template <class V, class M>
using Of = std::conditional_t<V::kReads, M, const M>;

template <class V>
void fields(V& v, Of<V, Member>& m) {
  v.fixed64(1, m.node);
  v.varint(2, m.incarnation);
  v.sentence(3, m.name, kNodeNameBytesMax);
  v.sentences(4, m.addresses, kAddressesMax, kAddressBytesMax);
  v.varint(5, m.role, static_cast<std::uint64_t>(Role::kObserver));
}

// --- Handshake. ---

template <class V>
void fields(V& v, Of<V, Hello>& m) {
  v.constant32(1, kHelloMagic);
  v.varint(2, m.protocol_min);
  v.varint(3, m.protocol_max);
  v.fixed64(4, m.cluster);
  v.message(5, m.self);
  v.sentence(6, m.refusal, kRefusalBytesMax);
  v.key(7, m.key);
  v.fixed64(8, m.ticket);
  v.key(9, m.ticket_secret);
  v.varint(10, m.cut_epochs);
  v.check(m.self.node.raw != 0 && m.protocol_min <= m.protocol_max, Error::kMalformed);
}
template <class V>
void fields(V& v, Of<V, LinkClaim>& m) {
  v.varint(1, m.link);
}
template <class V>
void fields(V& v, Of<V, LinkGrant>& m) {
  v.varint(1, m.link);
  v.sentence(2, m.refusal, kRefusalBytesMax);
  v.check(m.link == 0 || m.refusal.empty(), Error::kMalformed);
}

// --- Runs. ---

/// rse.v1.EventBatch.
template <class V>
void fields(V& v, Of<V, std::vector<Event>>& events) {
  v.template column<std::uint64_t>(1, events, [](auto& event) -> auto& { return event.time; });
  v.template column<std::uint32_t>(2, events, [](auto& event) -> auto& { return event.dst; });
  v.template column<std::uint32_t>(3, events, [](auto& event) -> auto& { return event.src; });
  v.template column<std::int32_t>(4, events, [](auto& event) -> auto& { return event.payload; });
}
inline bool all_are(const std::vector<Event>& events, TorusId source, TorusId destination) {
  return std::all_of(events.begin(), events.end(),
                     [&](const Event& event) { return torus_of(event.src) == source && torus_of(event.dst) == destination; });
}
template <class V>
void fields(V& v, Of<V, Injection>& m) {
  v.fixed64(1, m.client);
  v.varint(2, m.sequence);
  v.varint(3, m.kind, static_cast<std::uint64_t>(Injection::Kind::kSpawn));
  v.fixed32(4, m.dst);
  v.fixed32(5, m.src);
  v.fixed32(6, m.payload);
  v.text(7, m.program, kProgramNameBytesMax);
  v.text(8, m.args, kProgramArgsBytesMax);
  v.check(m.dst.raw / kCellCount < kTorusCount && m.src.raw / kCellCount < kTorusCount, Error::kForeignEvent);
}
template <class V>
void fields(V& v, Of<V, Seal>& m) {
  v.varint(1, m.waiting);
  v.messages(2, m.injections, kInjectionsPerSealMax);
}
template <class V>
void fields(V& v, Of<V, Projection>& m) {
  v.always_fixed64(1, m.run);
  v.always_torus32(2, m.torus);
  v.always_fixed64(3, m.epoch);
  v.always_fixed64(4, m.end_tick);
  v.always_fixed64(5, m.events);
  v.always_fixed64(6, m.pending);
  v.always_fixed64(7, m.refused);
  v.always_fixed64(8, m.processes);
  v.always_fixed64(9, m.edges);
  v.always_fixed64(10, m.load);
  v.always_fixed64(11, m.next_event_time);
  v.always_varint(12, m.quiet);
  v.array(13, m.boundary_states);
  v.array(14, m.constraint_vector);
  v.always_fixed64(15, m.violations);
  v.always_fixed64(16, m.event_digest);
}
/// Refuses what decode_packet() refuses.
template <class V>
void fields(V& v, Of<V, Packet>& m) {
  v.varint(1, m.run);
  v.torus(2, m.torus);
  v.varint(3, m.epoch);
  v.varint(4, m.next_epoch);
  v.message(5, m.seal);
  v.message(6, m.projection);
  v.message(7, m.batch_to_next);
  v.message(8, m.batch_to_previous);
  v.check(m.next_epoch > m.epoch, Error::kMalformed);
  v.check(m.projection.run == m.run && m.projection.torus == m.torus && m.projection.epoch == m.epoch, Error::kMalformed);
  if (v.finishing()) {
    v.check(all_are(m.batch_to_next, m.torus, next_torus(m.torus)), Error::kForeignEvent);
    v.check(all_are(m.batch_to_previous, m.torus, previous_torus(m.torus)), Error::kForeignEvent);
  }
}

// --- Between members. ---

template <class V>
void fields(V& v, Of<V, Heartbeat>& m) {
  v.varint(1, m.view);
  v.varint(2, m.run);
  v.varint(3, m.sequence);
  v.list(4, m.hears, kMembersMax);
  v.list(5, m.suspects, kMembersMax);
  v.array(6, m.wanted);
  v.array(7, m.durable);
  v.array(8, m.cut_complete);
  v.array(9, m.running);
  v.array(10, m.progress);
  v.varint(11, m.ready, (1u << kTorusCount) - 1);
  v.varint(12, m.settled, (1u << kTorusCount) - 1);
  v.varint(13, m.undecided);
  v.varint(14, m.rest_milliseconds, kRestMillisecondsMax);
}
template <class V>
void fields(V& v, Of<V, PacketMessage>& m) {
  v.varint(1, m.view);
  v.message(2, m.packet);
  v.varint(3, m.first);
}
template <class V>
void fields(V& v, Of<V, RegionPiece>& m) {
  v.varint(1, m.index, kRegionCount - 1);
  v.varint(3, m.total);
  v.varint(4, m.offset);
  v.region_bytes(2, m.bytes);
  v.check(m.total <= kRegionBytesMax, Error::kTooLarge);
  v.check(m.offset <= m.total && m.bytes.bytes.size() <= m.total - m.offset, Error::kMalformed);
}
template <class V>
void fields(V& v, Of<V, ShardPart>& m) {
  v.varint(1, m.view);
  v.varint(2, m.run);
  v.torus(3, m.torus);
  v.varint(4, m.cut);
  v.varint(5, m.base);
  v.varint(6, m.halves, kBothHalves);
  v.varint(7, m.part);
  v.varint(8, m.last);
  v.digests(9, m.digests);
  v.messages(10, m.pieces, kRegionCount);
}
template <class V>
void fields(V& v, Of<V, ShardAck>& m) {
  v.varint(1, m.run);
  v.torus(2, m.torus);
  v.varint(3, m.cut);
  v.varint(4, m.halves, kBothHalves);
  v.varint(5, m.held);
  v.varint(6, m.view);
}
template <class V>
void fields(V& v, Of<V, HeldCut>& m) {
  v.varint(1, m.cut);
  v.varint(2, m.halves, kBothHalves);
}
template <class V>
void fields(V& v, Of<V, Gather>& m) {
  v.varint(1, m.view);
  v.varint(2, m.run);
  v.torus(3, m.torus);
  v.varint(4, m.request);
  v.varint(5, m.with_cut);
  v.varint(6, m.from_epoch);
  v.varint(7, m.cut_wanted);
  v.array(8, m.have);
  v.varint(9, m.everything);
  v.messages(10, m.held, kHoldingsMax);
}
template <class V>
void fields(V& v, Of<V, GatherRegions>& m) {
  v.varint(1, m.request);
  v.torus(2, m.torus);
  v.varint(3, m.cut);
  v.digests(4, m.digests);
  v.messages(5, m.pieces, kRegionCount);
}
template <class V>
void fields(V& v, Of<V, GatherPacket>& m) {
  v.varint(1, m.request);
  v.torus(2, m.torus);
  v.text(3, m.packet, kMessageBytesMax);
}
template <class V>
void fields(V& v, Of<V, GatherDone>& m) {
  v.varint(1, m.request);
  v.torus(2, m.torus);
  v.varint(3, m.view);
  v.varint(4, m.refused);
  v.varint(5, m.region_messages);
  v.varint(6, m.packet_messages);
  v.varint(8, m.seal_messages);
  v.messages(9, m.held, kHoldingsMax);
}
template <class V>
void fields(V& v, Of<V, SealedEpoch>& m) {
  v.varint(1, m.epoch);
  v.varint(2, m.view);
  v.message(3, m.seal);
}
template <class V>
void fields(V& v, Of<V, GatherSeals>& m) {
  v.varint(1, m.request);
  v.torus(2, m.torus);
  v.messages(3, m.seals, kSealsPerMessageMax);
}
template <class V>
void fields(V& v, Of<V, Prepare>& m) {
  v.varint(1, m.number);
  v.varint(2, m.ballot);
}
template <class V>
void fields(V& v, Of<V, Promise>& m) {
  v.varint(1, m.number);
  v.varint(2, m.ballot);
  v.varint(3, m.accepted_ballot);
  v.text(4, m.accepted, kViewBytesMax);
  v.check((m.accepted_ballot == 0) == m.accepted.empty(), Error::kMalformed);
}
template <class V>
void fields(V& v, Of<V, Reject>& m) {
  v.varint(1, m.number);
  v.varint(2, m.ballot);
  v.varint(3, m.promised);
}
template <class V>
void fields(V& v, Of<V, Accept>& m) {
  v.varint(1, m.number);
  v.varint(2, m.ballot);
  v.text(3, m.view, kViewBytesMax);
}
template <class V>
void fields(V& v, Of<V, Accepted>& m) {
  v.varint(1, m.number);
  v.varint(2, m.ballot);
}
template <class V>
void fields(V& v, Of<V, Decided>& m) {
  v.text(1, m.view, kViewBytesMax);
}
template <class V>
void fields(V& v, Of<V, Join>& m) {
  v.message(1, m.joiner);
  v.varint(2, m.view);
  v.key(3, m.key);
  v.fixed64(4, m.ticket);
}
template <class V>
void fields(V& v, Of<V, TrustWish>& m) {
  v.coded(1, m.change, encode_trust_change, decode_trust_change);
}
template <class V>
void fields(V& v, Of<V, TakeOver>& m) {
  v.varint(1, m.view);
  v.torus(2, m.torus);
  v.varint(3, m.caught_up);
}
template <class V>
void fields(V& v, Of<V, Holdings::Cut>& m) {
  v.torus(1, m.torus);
  v.varint(2, m.cut);
  v.varint(3, m.halves, kBothHalves);
}
template <class V>
void fields(V& v, Of<V, Holdings>& m) {
  v.varint(1, m.view);
  v.varint(2, m.run);
  v.message(3, m.self);
  v.varint(4, m.running);
  v.varint(5, m.has_scenario);
  v.messages(6, m.cuts, kTorusCount * kHoldingsMax);
  v.varint(7, m.durable_cut);
}
template <class V>
void fields(V& v, Of<V, InjectRequest>& m) {
  v.varint(1, m.run);
  v.torus(2, m.torus);
  v.message(3, m.injection);
  v.check(torus_of(m.injection.dst) == m.torus, Error::kForeignEvent);
}
template <class V>
void fields(V& v, Of<V, InjectAnswer>& m) {
  v.fixed64(1, m.client);
  v.varint(2, m.sequence);
  v.varint(3, m.status, static_cast<std::uint64_t>(InjectStatus::kOvertaken));
  v.varint(4, m.sealed_in);
}
template <class V>
void fields(V& v, Of<V, ScenarioPart>& m) {
  v.digest(1, m.hash);
  v.varint(2, m.total_bytes);
  v.varint(3, m.offset);
  v.text(4, m.bytes, kMessageBytesMax);
  v.varint(5, m.offer);
  v.varint(6, m.run);
  v.check(m.total_bytes <= kScenarioTotalMax, Error::kTooLarge);
  v.check(m.offset <= m.total_bytes && m.bytes.size() <= m.total_bytes - m.offset, Error::kMalformed);
}
template <class V>
void fields(V& v, Of<V, ScenarioHeld>& m) {
  v.digest(1, m.hash);
  v.varint(2, m.run);
}
template <class V>
void fields(V& v, Of<V, ScenarioWanted>& m) {
  v.digest(1, m.hash);
}
template <class V>
void fields(V& v, Of<V, Envelope>& m) {
  v.fixed64(1, m.origin);
  v.varint(2, m.origin_incarnation);
  v.fixed64(3, m.destination);
  v.oneof(10, m.message);
}

// --- Beside the braid's messages. ---

template <class V>
void fields(V& v, Of<V, LatticeSight>& m) {
  v.constant32(1, kSightMagic);
  v.torus(2, m.torus);
  v.varint(3, m.corrective);
  v.text(4, m.levels, kSightBytes);
  v.check(m.levels.empty() || m.levels.size() == kSightBytes, Error::kMalformed);
}
template <class V>
void fields(V& v, Of<V, IncidentReport>& m) {
  v.constant32(1, kReportMagic);
  v.varint(2, m.kind);
  v.varint(3, m.age, kReportAgeMax.raw);
  v.fixed64(4, m.node);
  v.optional_torus(5, m.torus);
  v.varint(6, m.epoch);
  v.sentence(7, m.text, kReportTextBytesMax);
  v.check(is_incident_kind(m.kind), Error::kMalformed);
}
template <class V>
void fields(V& v, Of<V, AddressUpdate>& m) {
  v.constant32(1, kAddressMagic);
  v.fixed64(2, m.node);
  v.varint(3, m.version.incarnation);
  v.varint(4, m.version.number);
  v.sentences(5, m.addresses, kAddressesMax, kAddressBytesMax);
  v.array(6, m.signature);
  v.check(m.node.raw != 0 && m.version.number != 0, Error::kMalformed);
}

}  // namespace rse
