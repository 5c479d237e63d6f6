// The canonical bytes of a machine: torus/braid/checkpoint.md. Reading treats every byte as hostile.
#include "torus/braid/machine_state.h"

#include "torus/braid/planted_fault.h"

namespace rse {
namespace {

constexpr std::uint32_t kHeadMagic = 0x31484D52;  // "RMH1"

bool get_bool(ByteReader& reader) {
  const auto value = reader.get<std::uint8_t>();
  if (value > 1) reader.fail();
  return value == 1;
}

/// Bytes that could not be read although they did not end early are malformed.
Error error_of(const ByteReader& reader) {
  return reader.remaining() == 0 ? Error::kTruncated : Error::kMalformed;
}

void write_epochs(const Epochs& epochs, ByteWriter& writer) {
  writer.put(static_cast<std::uint8_t>(epochs.mode));
  writer.put(epochs.next);
  writer.put(epochs.start);
  writer.put(epochs.length);
  writer.put(static_cast<std::uint8_t>(epochs.calm));
  writer.put(static_cast<std::uint8_t>(epochs.exhausted));
}

Result<Epochs> read_epochs(ByteReader& reader) {
  Epochs epochs;
  epochs.mode = get_bool(reader) ? EpochLength::kAdaptive : EpochLength::kFixed;
  epochs.next = reader.get<Epoch>();
  epochs.start = reader.get<Tick>();
  epochs.length = reader.get<std::uint64_t>();
  epochs.calm = reader.get<std::uint8_t>();
  epochs.exhausted = get_bool(reader);
  if (!reader.ok()) return error_of(reader);
  const std::uint32_t calm_end = epochs.mode == EpochLength::kAdaptive ? kCalmEpochsToGrow : 1;
  if (epochs.length == 0 || epochs.calm >= calm_end) return Error::kMalformed;
  // Every epoch has a tick unless ticks have run out.
  if (!epochs.exhausted && epochs.start.raw < epochs.next.raw) return Error::kMalformed;
  if (epochs.exhausted && epochs.start != kLastTick) return Error::kMalformed;
  return epochs;
}

}  // namespace

Digest256 RegionDigests::state_digest() const {
  static_assert(sizeof(of) == kRegionCount * sizeof(Digest256{}.bytes));
  return digest_of(std::as_bytes(std::span(of)));
}

void TorusMachine::Impl::write_machine_head(Bytes& out) const {
  ByteWriter writer(out);
  writer.put(kHeadMagic);
  writer.put(torus.id());
  writer.put(run);
  writer.put(static_cast<std::uint8_t>(coupling == Coupling::kOn));
  writer.put(tolerance);
  write_epochs(epochs, writer);
  writer.put(violations_total);
  writer.put(injections_delivered);
  writer.put(cut.epochs_at_last_cut);
  for (const std::uint64_t events : cut.events_at_last_cut) writer.put(events);
  clients.encode(out);
  writer.put(static_cast<std::uint8_t>(own_count));
  for (std::size_t age = own_count; age-- > 0;) {  // the older one first
    const OwnEpoch& own = own_epochs[(newest_index + age) % own_epochs.size()];
    encode_packet(own.packet, out);
    for (const std::uint32_t count : own.counts) writer.put(count);
  }
  Bytes engine_head;
  torus.write_head(engine_head);
  writer.put_sized(engine_head);
}

void TorusMachine::write_region(std::size_t region, Bytes& out) const {
  RSE_ASSERT(impl_->phase == MachinePhase::kReady, "a checkpoint is taken at a boundary");
  RSE_ASSERT(region < kRegionCount, "there are 128 regions and the head");
  if (region == kHeadRegion) {
    impl_->write_machine_head(out);
  } else {
    impl_->torus.write_region(region, out);
  }
}

void TorusMachine::Impl::collect_changes() {
  for (std::size_t region = 0; region < kCellRegionCount; ++region) {
    if (!torus.region_changed(region)) continue;
    changed_since_cut.set(region);
    changed_since_digests.set(region);
  }
  torus.clear_changed();
}

void TorusMachine::write_changed_regions(const std::function<void(std::size_t region, Bytes bytes)>& serialised) {
  Impl& machine = *impl_;
  RSE_ASSERT(machine.phase == MachinePhase::kReady, "a checkpoint is taken at a boundary");
  machine.collect_changes();
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    if (region != kHeadRegion && !machine.changed_since_cut[region]) continue;
    Bytes bytes;
    bytes.reserve(machine.region_sizes[region] + machine.region_sizes[region] / 16);
    write_region(region, bytes);
    machine.region_sizes[region] = bytes.size();
    serialised(region, std::move(bytes));
  }
  machine.changed_since_cut.reset();
}

const RegionDigests& TorusMachine::region_digests() {
  Impl& machine = *impl_;
  RSE_ASSERT(machine.phase == MachinePhase::kReady, "a checkpoint is taken at a boundary");
  machine.collect_changes();
  Bytes bytes;
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    if (region != kHeadRegion && !machine.changed_since_digests[region]) continue;
    bytes.clear();
    write_region(region, bytes);
    machine.digests.of[region] = digest_of(bytes);
  }
  machine.changed_since_digests.reset();
  return machine.digests;
}

Result<void> TorusMachine::restore(std::span<const Bytes> regions) {
  impl_->clear();
  if (regions.size() != kRegionCount) return Error::kMalformed;
  RSE_CHECK(restore_region(kHeadRegion, regions[kHeadRegion]));
  for (std::size_t region = 0; region < kCellRegionCount; ++region) {
    RSE_CHECK(restore_region(region, regions[region]));
  }
  return end_restore();
}

Result<void> TorusMachine::restore_region(std::size_t region, std::span<const std::byte> bytes) {
  if (region == kHeadRegion) impl_->clear();
  auto read = impl_->read_region(region, bytes);
  if (!read) impl_->clear();
  return read;
}

Result<void> TorusMachine::end_restore() {
  const auto earliest = impl_->torus.next_event_time();
  const bool good = impl_->phase == MachinePhase::kRestoring && impl_->regions_read == kRegionCount &&
                    !(earliest && *earliest < impl_->epochs.start);
  if (!good) {
    impl_->clear();
    return Error::kMalformed;
  }
  impl_->phase = MachinePhase::kReady;
  return {};
}

Result<void> TorusMachine::Impl::read_region(std::size_t region, std::span<const std::byte> bytes) {
  if (bytes.size() > kRegionBytesMax) return Error::kTooLarge;
  if (region == kHeadRegion) {
    RSE_CHECK(read_head(bytes));
    phase = MachinePhase::kRestoring;
  } else {
    if (phase != MachinePhase::kRestoring || region >= kCellRegionCount) return Error::kMalformed;
    RSE_CHECK(torus.read_region(region, bytes));
  }
  region_sizes[region] = bytes.size();
  ++regions_read;
  return {};
}

Result<void> TorusMachine::Impl::read_head(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint32_t>();
  const auto id = reader.get<TorusId>();
  if (!reader.ok()) return Error::kTruncated;
  if (magic != kHeadMagic) return Error::kUnknownVersion;
  if (id != torus.id()) return Error::kWrongTorus;
  run = reader.get<RunId>();
  coupling = get_bool(reader) ? Coupling::kOn : Coupling::kOff;
  tolerance = reader.get<std::uint32_t>();
  RSE_TRY(epochs, read_epochs(reader));
  violations_total = reader.get<std::uint64_t>();
  injections_delivered = reader.get<std::uint64_t>();
  cut.epochs_at_last_cut = reader.get<std::uint64_t>();
  for (std::uint64_t& events : cut.events_at_last_cut) events = reader.get<std::uint64_t>();
  if (!reader.ok()) return error_of(reader);
  if (cut.epochs_at_last_cut > epochs.next.raw) return Error::kMalformed;
  RSE_CHECK(clients.decode(reader));
  if (planted(Fault::kClientsForgotten)) clients.clear();
  RSE_CHECK(read_own_epochs(reader));
  const auto engine_head = reader.get_sized(kRegionBytesMax);
  if (!reader.finished()) return error_of(reader);
  return torus.read_head(engine_head);
}

Result<void> TorusMachine::Impl::read_own_epochs(ByteReader& reader) {
  const auto count = reader.get<std::uint8_t>();
  if (!reader.ok()) return error_of(reader);
  const std::uint64_t count_due = std::min<std::uint64_t>(epochs.next.raw, own_epochs.size());
  if (count != count_due) return Error::kMalformed;
  for (std::size_t i = 0; i < count; ++i) {
    OwnEpoch& own = own_epochs[i];
    RSE_TRY(own.packet, decode_packet(reader));
    for (std::uint32_t& cell_count : own.counts) cell_count = reader.get<std::uint32_t>();
    if (!reader.ok()) return error_of(reader);
    if (own.packet.torus != torus.id() || own.packet.run != run) return Error::kMalformed;
    if (i != 0 && own_epochs[i - 1].packet.next_epoch != own.packet.epoch) return Error::kMalformed;
  }
  own_count = count;
  newest_index = count == 0 ? 0 : count - 1;
  if (const OwnEpoch* const last = newest()) {
    const bool follows = last->packet.epoch < epochs.next && epochs.next <= last->packet.next_epoch;
    if (!follows) return Error::kMalformed;
    cut_noted = cut.epochs_at_last_cut == last->packet.epoch.raw + 1;
  }
  return {};
}

}  // namespace rse
