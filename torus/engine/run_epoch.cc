#include <algorithm>

#include "torus/engine/engine.h"
#include "torus/engine/engine_context.h"
#include "torus/engine/key_sort.h"

namespace rse {

void Engine::run_epoch() {
  RSE_ASSERT(in_epoch, "begin_epoch() comes before run_epoch()");
  for (;;) {
    const std::uint64_t next = pending.next_before(epoch_end);
    const bool corrective_first = corrective_count != 0 && next >= epoch_start;
    const std::uint64_t now = corrective_first ? epoch_start : next;
    if (now == PendingSet::kNever) break;
    progress.store(now > epoch_start ? now - epoch_start : 0, std::memory_order_relaxed);
    tick_sum = 0;
    if (corrective_first) process_correctives();
    if (next == now) {
      const std::uint32_t count = pending.take(now, tick_events);
      const PackedEvent* const sorted = sort_events(tick_events, tick_scratch, count);
      // Without processes, each event makes at most degree_max() new ones, and no time can overflow
      // far from the end.
      const bool room_for_all =
          processes.count() == 0 && now < ~std::uint64_t{kDelayMax} &&
          pending_count + count * std::max<std::uint64_t>(lattice.degree_max(), 1) - count <=
              limits.events;
      if (room_for_all) {
        process_events<false>(now, sorted, count);
      } else {
        process_events<true>(now, sorted, count);
      }
    }
    digest = digest_step(digest, Tick{now}, tick_sum);
  }
  progress.store(epoch_end - epoch_start, std::memory_order_relaxed);
  floor = epoch_end;
  in_epoch = false;
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
  }
  count_faces(correctives, corrective_count);
  counters.corrective += corrective_count;
  counters.events += corrective_count;
  pending_count -= corrective_count;
  corrective_count = 0;
}

void Engine::count_faces(const PackedEvent* events, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t cell = packed_destination(events[i]);
    if (cell >= kFaceCellCount) break;
    low_face[cell] = saturating_add(low_face[cell], 1);
  }
  for (std::uint32_t i = count; i-- > 0;) {
    const std::uint32_t cell = packed_destination(events[i]);
    if (cell < kHighFaceFirstCell) break;
    std::uint32_t& face = high_face[cell - kHighFaceFirstCell];
    face = saturating_add(face, 1);
  }
}

/// `events` are sorted. kChecked: the pending set may fill up or time overflow, so that each event
/// is sent on its own with every check; otherwise the caller has excluded both.
template <bool kChecked>
void Engine::process_events(std::uint64_t now, const PackedEvent* events, std::uint32_t count) {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const PackedEvent event = events[i];
    const std::uint32_t index = packed_destination(event);
    sum += digest_term(unpack(event, Tick{now}, id));
    --pending_count;
    mark_changed(index);
    const Cell cell = lattice.cell(index);
    if (cell.has_processes()) [[unlikely]] {
      run_processes(now, event);
      continue;
    }
    const std::int32_t payload = packed_payload(event);
    if (cell.has_limit() && payload >= *lattice.limit(index)) continue;
    relay<kChecked>(now, index, payload);
  }
  count_faces(events, count);
  counters.events += count;
  tick_sum += sum;
}

template <bool kChecked>
void Engine::relay(std::uint64_t now, std::uint32_t cell, std::int32_t payload) {
  const std::int32_t sent_payload = next_payload(payload);
  for (Edge& edge : lattice.edges(cell)) {
    const std::uint32_t delay = adapted_delay(edge.delay, payload);
    edge.delay = delay;
    if (kChecked || !is_local(edge.target)) {
      static_cast<void>(send(now, cell, CellId{edge.target}, delay, sent_payload));
    } else {
      const std::uint32_t target = edge.target - first_cell;
      ++pending_count;
      mark_changed(target);
      pending.insert(now + delay, pack(target, first_cell + cell, sent_payload));
    }
  }
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
