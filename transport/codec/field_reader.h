// What reads the generated classes: copies fields out and checks every bound.
// Not for anyone but the codec. Threads: any. Memory: what the result holds. Errors: the first one is latched.
#pragma once

#include <algorithm>

#include "proto/rse/v1/messages.pb.h"
#include "torus/braid/messages.h"
#include "torus/engine/program.h"
#include "transport/codec/wire_scan.h"

namespace rse {

inline constexpr std::size_t kDigestBytes = sizeof(Digest256::bytes);
inline constexpr std::uint32_t kScenarioTotalMax = 64u << 20;  // kScenarioBytesMax
/// Every view fits: members with all their addresses, its trust, then at most 256 bytes of the rest.
inline constexpr std::size_t kViewBytesMax =
    kMembersMax * (24 + kNodeNameBytesMax + kAddressesMax * (4 + kAddressBytesMax)) + kTrustBytesMax + 256;

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
  void get(const std::string& from, PublicKey& to) {
    check(from.empty() || from.size() == to.bytes.size(), Error::kMalformed);
    if (ok() && !from.empty()) std::memcpy(to.bytes.data(), from.data(), to.bytes.size());
  }
  void get(const std::string& from, std::vector<Digest256>& to) {
    check(from.empty() || from.size() == kRegionCount * kDigestBytes, Error::kMalformed);
    if (!ok()) return;
    to.resize(from.size() / kDigestBytes);
    for (std::size_t i = 0; i < to.size(); ++i) {
      std::memcpy(to[i].bytes.data(), from.data() + i * kDigestBytes, kDigestBytes);
    }
  }
  void get(const google::protobuf::RepeatedField<std::uint64_t>& from, std::vector<NodeId>& to) {
    check(from.size() <= static_cast<int>(kMembersMax), Error::kTooLarge);
    if (!ok()) return;
    to.reserve(static_cast<std::size_t>(from.size()));
    for (std::uint64_t id : from) to.push_back({id});
  }
  template <class T>
  void get(const google::protobuf::RepeatedField<std::uint64_t>& from, std::array<T, kTorusCount>& to) {
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
 private:
  Error error_{};
  bool failed_ = false;
};

/// Scans, then parses: false for bytes that are no `M` or would cost too much memory.
template <class M>
bool parse(std::span<const std::byte> bytes, M& wire) {
  std::size_t objects = kWireObjectsMax;
  return scan_wire(bytes, *M::descriptor(), objects) &&
         wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}


}  // namespace rse
