#include "torus/engine/few_events.h"

#include <algorithm>

namespace rse {

bool FewEvents::fits(const Engine& engine) {
  return engine.processes.count() == 0 &&
         has_room(engine.pending_count, engine.lattice.degree_max()) &&
         engine.limits.events >= kSlots && engine.epoch_end < ~std::uint64_t{kDelayMax};
}

// New events are mostly the latest: looks for their place from the end.
inline void FewEvents::insert(std::uint64_t time, PackedEvent event) {
  std::uint32_t at = end_++;
  for (; at != begin_; --at) {
    const TimedEvent& before = slot(at - 1);
    if (before.time < time || (before.time == time && before.event <= event)) break;
    slot(at) = before;
  }
  slot(at) = {time, event};
}

FewEvents::FewEvents(Engine& engine) : engine_(engine) {
  engine.pending.for_each(
      [this](std::uint64_t time, const PackedEvent* events, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) insert(time, events[i]);
      });
  engine.pending.drop_all();
}

inline void FewEvents::send_along(Edge& edge, std::uint64_t now, std::uint32_t cell,
                                  std::int32_t payload) {
  const std::uint32_t delay = adapted_delay(edge.delay, payload);
  edge.delay = delay;
  const std::uint32_t target = edge.target - engine_.first_cell;
  if (target >= kCellCount) [[unlikely]] {
    static_cast<void>(engine_.send(now, cell, CellId{edge.target}, delay, next_payload(payload)));
    return;
  }
  engine_.mark_changed(target);
  insert(now + delay, pack(target, engine_.first_cell + cell, next_payload(payload)));
}

inline void FewEvents::relay(std::uint64_t now, PackedEvent event) {
  const std::uint32_t index = packed_destination(event);
  const std::int32_t payload = packed_payload(event);
  engine_.mark_changed(index);
  if (Engine::is_face(index)) engine_.count_face(index);
  if (engine_.lattice.cell(index).has_limit() && payload >= *engine_.lattice.limit(index)) return;
  for (Edge& edge : engine_.lattice.edges(index)) send_along(edge, now, index, payload);
}

void FewEvents::run() {
  Engine& engine = engine_;
  Cell* const cells = engine.lattice.cells();
  std::uint8_t* const marks = engine.changed.data();
  const std::uint32_t first = engine.first_cell;
  const std::uint64_t epoch_start = engine.epoch_start;
  const std::uint64_t epoch_end = engine.epoch_end;
  const std::uint32_t count_max = std::min(kCountToLeave, kSlots / std::max(engine.lattice.degree_max(), 1u));
  std::uint64_t events = 0;
  std::uint64_t digest = engine.digest;
  while (begin_ != end_ && end_ - begin_ <= count_max) {
    const std::uint64_t now = slot(begin_).time;
    if (now >= epoch_end) break;
    engine.progress.store(now > epoch_start ? now - epoch_start : 0, std::memory_order_relaxed);
    const TickDigestTerms terms(now, first);
    std::uint64_t sum = 0;
    do {  // what the events of this tick send is due later, so all of them are here already
      const PackedEvent event = slot(begin_++).event;
      sum += terms.of(event);
      ++events;
      const std::uint32_t index = packed_destination(event);
      const Cell cell = cells[index];
      const std::uint32_t target = cell.word.target - first;
      if (target >= kCellCount || cell.word.delay == 0) [[unlikely]] {
        relay(now, event);
        continue;
      }
      const std::uint32_t delay = adapted_delay(cell.word.delay, packed_payload(event));
      cells[index].word.delay = delay;
      marks[index >> kRegionCellBits] = 1;
      marks[target >> kRegionCellBits] = 1;
      if (Engine::is_face(index)) engine.count_face(index);
      insert(now + delay, next_event(target, first + index, event));
    } while (begin_ != end_ && slot(begin_).time == now);
    digest = digest_step(digest, Tick{now}, sum);
  }
  engine_.digest = digest;
  engine_.counters.events += events;
  engine_.pending_count = end_ - begin_;
  for (; begin_ != end_; ++begin_) engine_.pending.insert(slot(begin_).time, slot(begin_).event);
}

}  // namespace rse
