#include "torus/engine/engine.h"

#include <algorithm>
#include <cstring>

#include "torus/engine/engine_context.h"
#include "torus/engine/rank_sort.h"

namespace rse {

Engine::Engine(TorusId torus, const Capacity& capacity)
    : id(torus), reserved(capacity), limits(capacity) {
  Carver measure(nullptr);
  carve(measure);
  Carver carver(arena.reserve(measure.size()));
  carve(carver);
  reset(torus);
}

void Engine::carve(Carver& carver) {
  pending.carve(carver, reserved.events);
  lattice.carve(carver, reserved.edges);
  processes.carve(carver, reserved.processes);
  carver.carve(tick_events, reserved.events + kRankPadding);
  carver.carve(tick_scratch, reserved.events + kRankPadding);
  carver.carve(snapshot_events, reserved.events);
  carver.carve(met, 1);
  carver.carve(met_again, 1);
  carver.carve(correctives, kCorrectiveEventsMax);
  // A torus has an outbox for each other torus; which ones those are may change with reset().
  carver.carve(outboxes[0], std::size_t{reserved.outbox_events});
  carver.carve(outboxes[1], std::size_t{reserved.outbox_events});
  carver.carve(output_ring, kOutputsMax);
  carver.carve(face_counts, kNoFacePlace + 1);
}

void Engine::reset(TorusId torus) {
  RSE_ASSERT(torus.raw < kTorusCount, "there are three tori");
  Event* const pool_a = outboxes[0] != nullptr ? outboxes[0] : outboxes[2];
  Event* const pool_b = outboxes[1] != nullptr ? outboxes[1] : outboxes[2];
  outboxes = {};
  outboxes[next_torus(torus).raw] = pool_a;
  outboxes[previous_torus(torus).raw] = pool_b;

  id = torus;
  limits = reserved;
  first_cell = torus.raw * kCellCount;
  pending.reset();
  lattice.reset();
  processes.reset();
  outbox_counts = {};
  std::memset(face_counts, 0, 2 * kFaceCellCount * sizeof(face_counts[0]));
  pending_count = 0;
  corrective_count = 0;
  in_epoch = false;
  floor = 0;
  epoch_start = 0;
  epoch_end = 0;
  looks = nullptr;
  events_before_epoch = 0;
  sorted_ticks_left = 0;
  tick_sum = 0;
  digest = 0;
  next_pid_count = 1;
  counters = {};
  changed.fill(1);
  region_read.fill(0);
  progress.store(0, std::memory_order_relaxed);
}

Result<void> Engine::enqueue(std::uint64_t time, std::uint32_t dst_index, std::uint32_t src,
                             std::int32_t payload) {
  if (pending_count >= limits.events) return refuse(Error::kQueueFull);
  ++pending_count;
  mark_changed(dst_index);
  pending.insert(time, pack(dst_index, src, payload));
  return {};
}

Result<void> Engine::send(std::uint64_t now, std::uint32_t from, CellId to, std::uint64_t delay,
                          std::int32_t payload) {
  if (delay == 0 || delay > kDelayMax) return refuse(Error::kBadDelay);
  if (to.raw >= kGlobalCellCount) return refuse(Error::kForeignEvent);
  if (delay > ~now) return refuse(Error::kTimeOverflow);
  const std::uint64_t time = now + delay;
  if (is_local(to.raw)) return enqueue(time, to.raw - first_cell, first_cell + from, payload);
  const std::uint8_t peer = torus_of(to).raw;
  // Between epochs the outbox of the last one is still being read, and no batch would take the
  // event along.
  if (!in_epoch || outbox_counts[peer] >= limits.outbox_events) return refuse(Error::kOutboxFull);
  outboxes[peer][outbox_counts[peer]++] = {Tick{time}, to, CellId{first_cell + from}, payload};
  ++counters.sent[peer];
  return {};
}

Result<void> Engine::connect(std::uint32_t from, CellId to, std::uint64_t delay) {
  if (to.raw >= kGlobalCellCount) return Error::kWrongTorus;
  if (delay == 0 || delay > kDelayMax) return refuse(Error::kBadDelay);
  auto done = lattice.connect(from, to, static_cast<std::uint32_t>(delay), limits.edges);
  if (!done) return refuse(done.error());
  mark_changed(from);
  return {};
}

Result<Pid> Engine::spawn(CellId at, std::string_view program, std::string_view args, Tick now) {
  if (!is_local(at.raw)) return Error::kWrongTorus;
  const Program* const found = find_program(program);
  if (found == nullptr) return Error::kUnknownProgram;
  if (args.size() > kProgramArgsBytesMax) return Error::kBadArguments;
  if (processes.count() >= limits.processes || next_pid_count > kPidCountMax) {
    return refuse(Error::kProcessesFull);
  }
  const Pid pid{(std::uint64_t{id.raw} << kPidTorusShift) + next_pid_count};
  const std::uint32_t cell = at.raw - first_cell;
  std::uint32_t index = 0;
  while (all_programs()[index] != found) ++index;
  const std::uint32_t handle = processes.add(cell, pid, index);
  Process& process = processes.at(handle);
  process.random = fold(pid.raw ^ 0xA0761D6478BD642F, 0xE7037ED1A0B428DB);

  EngineContext context(*this, process, now, EngineContext::Phase::kStart);
  const auto started = found->start(processes.state(process), args, context);
  if (!started) {
    processes.remove(handle);
    return started.error();
  }
  ++next_pid_count;
  ++counters.processes_born;
  mark_changed(cell);
  lattice.set_has_processes(cell, true);
  if (context.exiting()) end_process(handle);
  return pid;
}

void Engine::end_process(std::uint32_t handle) {
  const std::uint32_t cell = processes.at(handle).cell;
  processes.remove(handle);
  ++counters.processes_ended;
  mark_changed(cell);
  if (processes.first(cell) == 0) lattice.set_has_processes(cell, false);
}

void Engine::output(Tick time, std::uint32_t cell, std::int64_t value) {
  const std::uint64_t number = counters.outputs++;
  output_ring[number % kOutputsMax] = {number, time, CellId{first_cell + cell}, value};
}

}  // namespace rse
