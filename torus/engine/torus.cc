#include "torus/engine/torus.h"

#include <algorithm>

#include "torus/engine/checkpoint.h"
#include "torus/engine/engine.h"

namespace rse {

struct Torus::Impl : Engine {
  using Engine::Engine;
  PendingSnapshot snapshot;  // of the pending events, while regions are written
};

Torus::Torus(TorusId id, const Capacity& capacity) : impl_(std::make_unique<Impl>(id, capacity)) {}
Torus::~Torus() = default;

void Torus::reset(TorusId id) {
  impl_->reset(id);
  impl_->snapshot.discard();
}

TorusId Torus::id() const { return impl_->id; }

void Torus::set_relay(CellId cell, std::optional<std::int32_t> max_payload) {
  RSE_ASSERT(impl_->is_local(cell.raw), "a relay of another torus");
  if (!max_payload) return;
  impl_->lattice.set_limit(index_of(cell), *max_payload);
  impl_->mark_changed(index_of(cell));
}

Result<void> Torus::connect(CellId from, CellId to, std::uint64_t delay) {
  if (!impl_->is_local(from.raw)) return Error::kWrongTorus;
  return impl_->connect(index_of(from), to, delay);
}

Result<Pid> Torus::spawn(CellId at, std::string_view program, std::string_view args, Tick now) {
  RSE_ASSERT(now.raw >= impl_->floor, "a process cannot start in the past");
  impl_->snapshot.discard();
  return impl_->spawn(at, program, args, now);
}

Result<void> Torus::insert(const Event& event) {
  RSE_ASSERT(event.time.raw >= impl_->floor, "an event cannot be in the past");
  if (!impl_->is_local(event.dst.raw) || event.src.raw >= kGlobalCellCount) {
    return Error::kForeignEvent;
  }
  impl_->snapshot.discard();
  return impl_->enqueue(event.time.raw, index_of(event.dst), event.src.raw, event.payload);
}

void Torus::begin_epoch(Tick start, Tick end) {
  RSE_ASSERT(!impl_->in_epoch, "run_epoch() ends an epoch");
  RSE_ASSERT(start.raw >= impl_->floor && end > start, "epochs follow each other");
  Impl& engine = *impl_;
  engine.in_epoch = true;
  engine.floor = start.raw;
  engine.epoch_start = start.raw;
  engine.epoch_end = end.raw;
  engine.events_before_epoch = engine.counters.events;
  engine.outbox_counts = {};
  std::fill_n(engine.face_counts, 2 * kFaceCellCount, 0u);
  engine.progress.store(0, std::memory_order_relaxed);
  engine.snapshot.discard();
}

void Torus::deliver(const Event& event, std::optional<TorusId> source) {
  Impl& engine = *impl_;
  RSE_ASSERT(engine.in_epoch, "deliver() belongs between begin_epoch() and run_epoch()");
  if (source) ++engine.counters.received[source->raw];
  if (!engine.is_local(event.dst.raw) || event.src.raw >= kGlobalCellCount) {
    ++engine.counters.refused;
    return;
  }
  const std::uint64_t time = std::max(event.time.raw, engine.epoch_start);
  static_cast<void>(
      engine.enqueue(time, index_of(event.dst), event.src.raw, event.payload));  // refusal: counted
}

void Torus::deliver_corrective(CellId dst, CellId src, std::int32_t payload) {
  Impl& engine = *impl_;
  RSE_ASSERT(engine.in_epoch, "deliver_corrective() belongs between begin_epoch() and run_epoch()");
  RSE_ASSERT(engine.is_local(dst.raw) && src.raw < kGlobalCellCount, "a corrective of elsewhere");
  if (engine.pending_count >= engine.limits.events ||
      engine.corrective_count == kCorrectiveEventsMax) {
    ++engine.counters.refused;
    return;
  }
  ++engine.pending_count;
  engine.correctives[engine.corrective_count++] = pack(index_of(dst), src.raw, payload);
}

void Torus::run_epoch() { impl_->run_epoch(); }

std::span<const Event> Torus::outbox(TorusId peer) const {
  RSE_ASSERT(peer.raw < kTorusCount, "there are three tori");
  return {impl_->outboxes[peer.raw], impl_->outbox_counts[peer.raw]};
}

std::span<const std::uint32_t, kFaceCellCount> Torus::low_face_counts() const {
  return std::span<const std::uint32_t, kFaceCellCount>(impl_->face_counts + kFaceCellCount, kFaceCellCount);
}

std::span<const std::uint32_t, kFaceCellCount> Torus::high_face_counts() const {
  return std::span<const std::uint32_t, kFaceCellCount>(impl_->face_counts, kFaceCellCount);
}

std::uint64_t Torus::epoch_events() const {
  return impl_->counters.events - impl_->events_before_epoch;
}

const TorusCounters& Torus::counters() const { return impl_->counters; }
std::uint64_t Torus::event_digest() const { return impl_->digest; }
std::uint64_t Torus::pending_count() const { return impl_->pending_count; }
std::uint64_t Torus::edge_count() const { return impl_->lattice.edge_count(); }
std::uint64_t Torus::process_count() const { return impl_->processes.count(); }
std::size_t Torus::bytes_reserved() const { return impl_->arena.size(); }
std::uint64_t Torus::progress() const { return impl_->progress.load(std::memory_order_relaxed); }

std::optional<Tick> Torus::next_event_time() const {
  if (impl_->pending_count == 0) return std::nullopt;
  const std::uint64_t earliest = impl_->pending.earliest();
  return Tick{impl_->corrective_count == 0 ? earliest : std::min(earliest, impl_->epoch_start)};
}

void Torus::watch(std::uint32_t* counts) const { impl_->looks = counts; }

void Torus::visit_processes(void (*visit)(void* context, const ProcessInfo&), void* context) const {
  const ProcessTable& table = impl_->processes;
  std::vector<const Process*> in_pid_order;
  in_pid_order.reserve(table.count());
  for (std::uint32_t handle = 1; handle <= table.handle_max(); ++handle) {
    if (table.at(handle).pid != 0) in_pid_order.push_back(&table.at(handle));
  }
  std::sort(in_pid_order.begin(), in_pid_order.end(),
            [](const Process* a, const Process* b) { return a->pid < b->pid; });
  for (const Process* process : in_pid_order) {
    const Program& program = table.program(*process);
    visit(context, {Pid{process->pid}, CellId{impl_->first_cell + process->cell}, program.name(),
                    program.value(table.state(*process))});
  }
}

std::vector<Output> Torus::outputs() const {
  const std::uint64_t total = impl_->counters.outputs;
  std::vector<Output> out;
  for (std::uint64_t number = total - std::min<std::uint64_t>(total, kOutputsMax); number < total;
       ++number) {
    out.push_back(impl_->output_ring[number % kOutputsMax]);
  }
  return out;
}

void Torus::write_region(std::size_t region, Bytes& out) const {
  RSE_ASSERT(!impl_->in_epoch && region < kCellRegionCount, "a checkpoint is taken at a boundary");
  impl_->snapshot.take(*impl_);
  encode_region(*impl_, impl_->snapshot, region, out);
}

void Torus::write_head(Bytes& out) const {
  RSE_ASSERT(!impl_->in_epoch, "a checkpoint is taken at a boundary");
  encode_head(*impl_, out);
}

bool Torus::region_changed(std::size_t region) const { return impl_->changed[region] != 0; }
void Torus::clear_changed() { impl_->changed.fill(0); }

Result<void> Torus::read_head(std::span<const std::byte> bytes) {
  return decode_head(*impl_, bytes);
}

Result<void> Torus::read_region(std::size_t region, std::span<const std::byte> bytes) {
  RSE_ASSERT(region < kCellRegionCount, "there are 128 regions");
  impl_->snapshot.discard();
  return decode_region(*impl_, region, bytes);
}

}  // namespace rse
