#include <algorithm>

#include "torus/engine/engine.h"
#include "torus/engine/engine_context.h"
#include "torus/engine/few_events.h"
#include "torus/engine/key_sort.h"

namespace rse {

void Engine::run_epoch() {
  RSE_ASSERT(in_epoch, "begin_epoch() comes before run_epoch()");
  for (;;) {
    const std::uint64_t next = pending.next_before(epoch_end);
    const bool corrective_first = corrective_count != 0 && next >= epoch_start;
    const std::uint64_t now = corrective_first ? epoch_start : next;
    if (now == PendingSet::kNever) break;
    if (!corrective_first && pending_count <= FewEvents::kCountToEnter && FewEvents::fits(*this)) {
      FewEvents(*this).run();
      continue;
    }
    progress.store(now > epoch_start ? now - epoch_start : 0, std::memory_order_relaxed);
    tick_sum = 0;
    if (corrective_first) process_correctives();
    if (next == now) process_tick(now);
    digest = digest_step(digest, Tick{now}, tick_sum);
  }
  progress.store(epoch_end - epoch_start, std::memory_order_relaxed);
  floor = epoch_end;
  in_epoch = false;
}

void Engine::process_tick(std::uint64_t now) {
  const std::uint32_t count = pending.count_at(now);
  // Without processes, each event makes at most degree_max() new ones, and far from the end no time
  // can overflow.
  const bool room_for_all =
      processes.count() == 0 && now < ~std::uint64_t{kDelayMax} &&
      pending_count + count * std::max<std::uint64_t>(lattice.degree_max(), 1) - count <=
          limits.events;
  sort_tick(
      count, tick_events, tick_scratch, [&](auto visit) { pending.visit_tick(now, visit); },
      [&] { pending.drop_tick(now); },
      [&](const PackedEvent* events, std::uint32_t in_piece) {
        if (room_for_all) {
          relay_all(now, events, in_piece);
        } else {
          process_events(now, events, in_piece);
        }
        count_faces(events, in_piece);
        counters.events += in_piece;
      });
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

// For a torus without processes where nothing can be refused for lack of room or time.
void Engine::relay_all(std::uint64_t now, const PackedEvent* events, std::uint32_t count) {
  const Cell* const cells = lattice.cells();
  Edge* const edges = lattice.edge_pool();
  std::uint8_t* const marks = changed.data();
  const std::uint32_t first = first_cell;
  const std::uint8_t torus = id.raw;
  PendingSet::Appender out(pending, now);
  std::uint64_t sum = 0;
  std::uint32_t sent = 0;
  // Sends along an edge whose delay, just adapted, the caller stores.
  const auto send_along = [&](std::uint32_t to, std::uint32_t delay, std::uint32_t from,
                              std::int32_t payload) __attribute__((always_inline)) {
    const std::uint32_t target = to - first;
    if (target >= kCellCount) [[unlikely]] {
      static_cast<void>(send(now, from, CellId{to}, delay, next_payload(payload)));
      return;
    }
    marks[target >> kRegionCellBits] = 1;
    ++sent;
    out.insert(now + delay, pack(target, first + from, next_payload(payload)));
  };
  const auto take_term = [&](PackedEvent event) {
    sum += digest_term(unpack(event, Tick{now}, TorusId{torus}));
  };
  for (std::uint32_t i = 0; i < count;) {
    const std::uint32_t index = packed_destination(events[i]);
    marks[index >> kRegionCellBits] = 1;
    const Cell cell = cells[index];
    if (cell.flags_and_edge_count == 1) [[likely]] {
      Edge& edge = edges[cell.first_edge];
      std::uint32_t delay = edge.delay;
      do {  // the cell's events of this tick, with the delay in a register
        const std::int32_t payload = packed_payload(events[i]);
        take_term(events[i]);
        delay = adapted_delay(delay, payload);
        send_along(edge.target, delay, index, payload);
        ++i;
      } while (i < count && packed_destination(events[i]) == index);
      edge.delay = delay;
      continue;
    }
    const std::int32_t payload = packed_payload(events[i]);
    take_term(events[i++]);
    if (cell.has_limit() && payload >= *lattice.limit(index)) continue;
    const std::uint32_t end = cell.first_edge + cell.edge_count();
    for (std::uint32_t edge = cell.first_edge; edge < end; ++edge) {
      edges[edge].delay = adapted_delay(edges[edge].delay, payload);
      send_along(edges[edge].target, edges[edge].delay, index, payload);
    }
  }
  tick_sum += sum;
  pending_count += sent - count;
}

// With every check, an event at a time.
void Engine::process_events(std::uint64_t now, const PackedEvent* events, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const PackedEvent event = events[i];
    const std::uint32_t index = packed_destination(event);
    tick_sum += digest_term(unpack(event, Tick{now}, id));
    --pending_count;
    mark_changed(index);
    const Cell cell = lattice.cell(index);
    const std::int32_t payload = packed_payload(event);
    if (cell.has_processes()) {
      run_processes(now, event);
    } else if (!cell.has_limit() || payload < *lattice.limit(index)) {
      relay(now, index, payload);
    }
  }
}

void Engine::relay(std::uint64_t now, std::uint32_t cell, std::int32_t payload) {
  for (Edge& edge : lattice.edges(cell)) {
    edge.delay = adapted_delay(edge.delay, payload);
    const CellId target{edge.target};
    static_cast<void>(
        send(now, cell, target, edge.delay, next_payload(payload)));  // refusal: counted
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
