#include "torus/engine/few_events.h"

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
  std::uint64_t events = 0;
  std::uint64_t digest = engine_.digest;
  const std::uint32_t degree_max = engine_.lattice.degree_max();
  while (begin_ != end_ && end_ - begin_ <= kCountToLeave && has_room(end_ - begin_, degree_max)) {
    const std::uint64_t now = slot(begin_).time;
    if (now >= engine_.epoch_end) break;
    engine_.progress.store(now > engine_.epoch_start ? now - engine_.epoch_start : 0,
                           std::memory_order_relaxed);
    std::uint64_t sum = 0;
    do {  // what the events of this tick send is due later, so all of them are here already
      const PackedEvent event = slot(begin_++).event;
      sum += digest_term(unpack(event, Tick{now}, engine_.id));
      ++events;
      relay(now, event);
    } while (begin_ != end_ && slot(begin_).time == now);
    digest = digest_step(digest, Tick{now}, sum);
  }
  engine_.digest = digest;
  engine_.counters.events += events;
  engine_.pending_count = end_ - begin_;
  for (; begin_ != end_; ++begin_) engine_.pending.insert(slot(begin_).time, slot(begin_).event);
}

}  // namespace rse
