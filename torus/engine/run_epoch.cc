#include <algorithm>
#include <array>

#include "torus/engine/engine.h"
#include "torus/engine/engine_context.h"
#include "torus/engine/few_events.h"
#include "torus/engine/key_sort.h"
#include "torus/engine/programs.h"

namespace rse {

void Engine::run_epoch() {
  RSE_ASSERT(in_epoch, "begin_epoch() comes before run_epoch()");
  if (looks != nullptr) run_watched();
  run_to_end();
  progress.store(epoch_end - epoch_start, std::memory_order_relaxed);
  floor = epoch_end;
  in_epoch = false;
}

// In pieces, each as if the epoch ended there. Nothing that an epoch computes depends on where the loop pauses.
void Engine::run_watched() {
  constexpr std::uint32_t kVisitsMax = 100'000;
  const std::uint64_t end = epoch_end;
  const std::uint64_t count = std::clamp<std::uint64_t>(kVisitsMax / (pending_count + 1), 1, kLooksMax);
  const std::uint64_t step = std::max<std::uint64_t>((end - epoch_start) / count, 1);
  for (epoch_end = epoch_start + step; epoch_end < end && end - epoch_end >= step; epoch_end += step) {
    run_to_end();
    pending.for_each([&](std::uint64_t, const PackedEvent* events, std::uint32_t in_run) {
      for (std::uint32_t i = 0; i < in_run; ++i) ++looks[packed_destination(events[i])];
    });
  }
  epoch_end = end;
  looks = nullptr;
}

void Engine::run_to_end() {
  positive_tick = PendingSet::kNever;  // others may have changed the pending events since
  for (;;) {
    const std::uint64_t next = pending.next_before(epoch_end);
    const bool corrective_first = corrective_count != 0 && next >= epoch_start;
    const std::uint64_t now = corrective_first ? epoch_start : next;
    if (now == PendingSet::kNever) break;
    if (!corrective_first && pending_count <= FewEvents::kCountToEnter && FewEvents::fits(*this)) {
      positive_tick = PendingSet::kNever;
      FewEvents(*this).run();
      continue;
    }
    if (!corrective_first && next != positive_tick && relay_few_ticks() != 0) continue;
    progress.store(now > epoch_start ? now - epoch_start : 0, std::memory_order_relaxed);
    tick_sum = 0;
    if (corrective_first) process_correctives();
    if (next == now) process_tick(now);
    digest = digest_step(digest, Tick{now}, tick_sum);
  }
}

void Engine::process_tick(std::uint64_t now) {
  const std::uint32_t count = pending.count_at(now);
  const bool room_for_all = now < ~std::uint64_t{kDelayMax} && has_room(count);  // far from the end no time can overflow
  if (room_for_all && processes.count() == 0) return relay_tick(now, count);
  if (room_for_all && processes.count() == processes.count_of(kPholdProgram) &&
      *std::max_element(outbox_counts.begin(), outbox_counts.end()) + 2 * made_by(count) <= limits.outbox_events) {
    return phold_tick(now, count);
  }
  sort_tick(
      count, Ties::kBySource, tick_events, tick_scratch, [&](auto visit) { pending.visit_tick(now, visit); },
      [&] { pending.drop_tick(now); },
      [&](const PackedEvent* events, std::uint32_t in_piece) {
        process_events(now, events, in_piece);
      });
  counters.events += count;
}

void Engine::process_correctives() {
  std::sort(correctives, correctives + corrective_count);
  for (std::uint32_t i = 0; i < corrective_count; ++i) {
    const PackedEvent packed = correctives[i];
    tick_sum += digest_term(unpack(packed, Tick{epoch_start}, id)) ^ kCorrectiveMark;
    const std::uint32_t cell = packed_destination(packed);
    for (Edge& edge : lattice.edges(cell)) {
      const std::int64_t delay = std::int64_t{edge.delay} - packed_payload(packed);
      edge.delay = static_cast<std::uint32_t>(std::clamp<std::int64_t>(delay, 1, kDelayMax));
    }
    mark_changed(cell);
    if (is_face(cell)) count_face(cell);
  }
  counters.corrective += corrective_count;
  counters.events += corrective_count;
  pending_count -= corrective_count;
  corrective_count = 0;
}

void Engine::count_face(std::uint32_t cell, std::uint32_t events) {
  std::uint32_t& face = face_counts[face_place(cell)];
  face = saturating_add(face, events);
}

void Engine::count_sorted_faces(std::span<const PackedEvent> events) {
  for (; !events.empty() && is_face(packed_destination(events.front())); events = events.subspan(1)) {
    count_face(packed_destination(events.front()));
  }
  for (; !events.empty() && is_face(packed_destination(events.back())); events = events.first(events.size() - 1)) {
    count_face(packed_destination(events.back()));
  }
}

void Engine::count_faces(std::span<const std::uint32_t> cells) {
  for (const std::uint32_t cell : cells) count_face(cell);
}

// With every check, an event at a time.
void Engine::process_events(std::uint64_t now, const PackedEvent* events, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const PackedEvent event = events[i];
    const std::uint32_t index = packed_destination(event);
    tick_sum += digest_term(unpack(event, Tick{now}, id));
    --pending_count;
    mark_changed(index);
    if (is_face(index)) count_face(index);
    const Cell cell = lattice.cell(index);
    const std::int32_t payload = packed_payload(event);
    if (cell.has_processes()) {
      if (processes.takes_batches(processes.at(processes.first(index)))) {
        i += run_batch(now, events + i, count - i) - 1;
      } else {
        run_processes(now, event);
      }
    } else if (!cell.has_limit() || payload < *lattice.limit(index)) {
      relay_checked(now, index, payload);
    }
  }
}

void Engine::relay_checked(std::uint64_t now, std::uint32_t cell, std::int32_t payload) {
  for (Edge& edge : lattice.edges(cell)) {
    edge.delay = adapted_delay(edge.delay, payload);
    const CellId target{edge.target};
    static_cast<void>(
        send(now, cell, target, edge.delay, next_payload(payload)));  // refusal: counted
  }
}

// The events at the front that lie in the first one's cell, for its only process. How many; the first is counted already.
std::uint32_t Engine::run_batch(std::uint64_t now, const PackedEvent* events, std::uint32_t count) {
  const std::uint32_t index = packed_destination(events[0]);
  std::array<Event, kProgramBatchMax> batch;
  batch[0] = unpack(events[0], Tick{now}, id);
  std::uint32_t size = 1;
  for (; size < std::min<std::size_t>(count, batch.size()) && packed_destination(events[size]) == index; ++size) {
    batch[size] = unpack(events[size], Tick{now}, id);
    tick_sum += digest_term(batch[size]);
  }
  pending_count -= size - 1;
  if (is_face(index)) count_face(index, size - 1);
  const Process& process = processes.at(processes.first(index));
  processes.program(process).on_events(processes.state(process), {batch.data(), size});
  return size;
}

// A process that this event creates, in this very cell too, sees events from the next one on.
void Engine::run_processes(std::uint64_t now, PackedEvent event) {
  const std::uint64_t first_new_pid = (std::uint64_t{id.raw} << kPidTorusShift) + next_pid_count;
  const Event unpacked = unpack(event, Tick{now}, id);
  std::uint32_t handle = processes.first(packed_destination(event));
  while (handle != 0) {
    Process& process = processes.at(handle);
    const bool is_new = process.pid >> kPidTorusShift == id.raw && process.pid >= first_new_pid;
    bool exiting = false;
    if (!is_new) {
      EngineContext context(*this, process, Tick{now}, EngineContext::Phase::kEvent);
      processes.program(process).on_event(processes.state(process), unpacked, context);
      exiting = context.exiting();
    }
    const std::uint32_t next = process.next;
    if (exiting) end_process(handle);
    handle = next;
  }
}

}  // namespace rse
