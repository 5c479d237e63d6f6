// The fast loop: a tick of a torus without processes, in which neither room nor time can run out.
//
// The order of a tick's events can be seen in two ways only: where several events meet in a cell whose delays they
// change differently, and in the order of what goes to other tori. All else is order-free: sets of pending events,
// sums of digest terms, counts. So nothing is sorted but the events of such cells. A first pass over the tick finds
// the cells that meet several events, in a bitmap that stays in the first-level cache; the second processes
// everything that is free of order as it lies and puts the rest aside, which is then sorted and processed.
#include <algorithm>
#include <cstring>

#include "torus/engine/engine.h"
#include "torus/engine/key_sort.h"
#include "torus/engine/rank_sort.h"
#include "torus/engine/relay_step.h"

namespace rse {
namespace {

// After a tick in which most events shared their cells, so many are sorted without looking: events that have met go on
// together. Which way a tick takes shows in no result.
constexpr std::uint32_t kSortedTicks = 31;

bool contains(const CellSet& set, std::uint32_t cell) { return (set[cell / 64] >> (cell % 64) & 1) != 0; }

}  // namespace

// What relay_steady() has put into this tick need not be looked at again, unless others have added to it.
bool Engine::all_positive(std::uint64_t now, std::uint32_t count) const {
  if (now == positive_tick && count == positive_count) return true;
  std::uint32_t all = ~std::uint32_t{0};  // its highest bit: whether all payloads are positive
  pending.visit_tick(now, [&](const PackedEvent* events, std::uint32_t in_run) {
    if (all < kPayloadBias) return;
    for (std::uint32_t i = 0; i < in_run; ++i) {
      const auto biased = static_cast<std::uint32_t>(events[i]);
      all &= biased & (biased - 1);
    }
  });
  return all >= kPayloadBias;
}

// For a tick whose payloads are all positive: processes the events in cells whose only edge leads to this torus and has
// the delay 1, which it keeps; their events all go to the next tick. Puts the others into tick_scratch; their number.
std::uint32_t Engine::relay_steady(std::uint64_t now, std::uint32_t count) {
  const Cell* const cells = lattice.cells();
  std::uint8_t* const marks = changed.data();
  PackedEvent* const rest = tick_scratch;
  const std::uint32_t first = first_cell;
  PendingSet::TickAppender out(pending, now + 1);
  const TickDigestTerms terms(now, first);
  std::uint64_t sum = 0;
  std::uint32_t rest_count = 0;
  std::uint32_t positive = ~std::uint32_t{0};  // its highest bit: whether no payload has grown beyond the largest
  pending.take_tick(now, [&](const PackedEvent* events, std::uint32_t in_run) {
    RunCells faces;
    std::uint32_t face_count = 0;
    for (std::uint32_t i = 0; i < in_run; ++i) {
      const PackedEvent event = events[i];
      const std::uint32_t index = packed_destination(event);
      const std::uint64_t target = cells[index].joined() - Cell::joined_edge(first, 1);
      if (target >= kCellCount) [[unlikely]] {
        rest[rest_count++] = event;
        continue;
      }
      sum += terms.of(event);
      marks[index >> kRegionCellBits] = 1;
      marks[target >> kRegionCellBits] = 1;
      faces[face_count] = index;
      face_count += is_face(index);
      positive &= static_cast<std::uint32_t>(event) + 1;
      out.append(next_event(static_cast<std::uint32_t>(target), first + index, event));
    }
    count_faces({faces.data(), face_count});
  });
  tick_sum += sum;
  positive_tick = positive >= kPayloadBias ? now + 1 : PendingSet::kNever;
  positive_count = count - rest_count;
  return rest_count;
}

// Puts the cells that more than one of the events has for its destination into met_again, which is empty before.
// How many events found their cell met.
template <class VisitRuns>
std::uint32_t Engine::find_shared(VisitRuns visit_runs) {
  std::uint32_t found = 0;
  std::uint64_t* const once = met->data();
  std::uint64_t* const again = met_again->data();
  visit_runs([&](const PackedEvent* events, std::uint32_t in_run) {
    for (std::uint32_t i = 0; i < in_run; ++i) {
      const std::uint64_t bit = std::uint64_t{1} << (packed_destination(events[i]) % 64);
      const std::uint32_t word = packed_destination(events[i]) / 64;
      const std::uint64_t before = once[word];
      once[word] = before | bit;
      again[word] |= before & bit;
      found += (before & bit) != 0;
    }
  });
  met->fill(0);
  return found;
}

// Processes the events that `visit_runs` gives and that lie in cells with one edge, to a cell of this torus, and nothing
// else, where one event at most has come (`met_again`). Puts the others into tick_scratch; their number. All that the
// loop changes is in local variables whose address nobody takes, so that it stays in registers.
template <class VisitRuns>
std::uint32_t Engine::relay_alone(std::uint64_t now, VisitRuns visit_runs) {
  Cell* const cells = lattice.cells();
  std::uint8_t* const marks = changed.data();
  const CellSet& shared = *met_again;
  PackedEvent* const rest = tick_scratch;
  const std::uint32_t first = first_cell;
  PendingSet::Appender out(pending, now);
  const TickDigestTerms terms(now, first);
  std::uint64_t sum = 0;
  std::uint32_t rest_count = 0;
  visit_runs([&](const PackedEvent* events, std::uint32_t in_run) {
    RunCells faces;
    std::uint32_t face_count = 0;
    for (std::uint32_t i = 0; i < in_run; ++i) {
      const PackedEvent event = events[i];
      const std::uint32_t index = packed_destination(event);
      const Cell cell = cells[index];
      const std::uint32_t target = cell.word.target - first;
      if (contains(shared, index) || target >= kCellCount || cell.word.delay == 0) [[unlikely]] {
        rest[rest_count++] = event;
        continue;
      }
      sum += terms.of(event);
      const std::uint32_t delay = adapted_delay(cell.word.delay, packed_payload(event));
      cells[index].word.delay = delay;
      marks[index >> kRegionCellBits] = 1;
      marks[target >> kRegionCellBits] = 1;
      faces[face_count] = index;
      face_count += is_face(index);
      out.insert(delay, next_event(target, first + index, event));
    }
    count_faces({faces.data(), face_count});
  });
  tick_sum += sum;
  return rest_count;
}

template <bool kMarks>
void Engine::relay_each(std::uint64_t now, const PackedEvent* events, std::uint32_t count) {
  const RelayStep<kMarks> step(*this);
  PendingSet::Appender out(pending, now);
  const TickDigestTerms terms(now, first_cell);
  std::uint64_t sum = 0;
  count_sorted_faces({events, count});
  for (std::uint32_t i = 0; i < count; ++i) {
    const PackedEvent event = events[i];
    sum += terms.of(event);
    if (!step.take(event, out)) [[unlikely]] relay(now, event);
  }
  tick_sum += sum;
}

// The events of a tick, or a part of it, in canonical order. Soon after a checkpoint all regions are marked as changed.
void Engine::relay_in_order(std::uint64_t now, const PackedEvent* events, std::uint32_t count) {
  const bool all_marked = std::memchr(changed.data(), 0, changed.size()) == nullptr;
  all_marked ? relay_each<false>(now, events, count) : relay_each<true>(now, events, count);
}

// Any cell of a torus without processes, where there is room for all that it sends. Its face is the caller's to count.
void Engine::relay(std::uint64_t now, PackedEvent event) {
  const std::uint32_t index = packed_destination(event);
  const std::int32_t payload = packed_payload(event);
  mark_changed(index);
  --pending_count;
  if (lattice.cell(index).has_limit() && payload >= *lattice.limit(index)) return;
  PendingSet::Appender out(pending, now);
  std::uint32_t sent = 0;
  for (Edge& edge : lattice.edges(index)) {
    const std::uint32_t delay = adapted_delay(edge.delay, payload);
    edge.delay = delay;
    const std::uint32_t target = edge.target - first_cell;
    if (target >= kCellCount) [[unlikely]] {  // a refusal is counted
      static_cast<void>(send(now, index, CellId{edge.target}, delay, next_payload(payload)));
      continue;
    }
    mark_changed(target);
    ++sent;
    out.insert(delay, next_event(target, first_cell + index, event));
  }
  pending_count += sent;
}

void Engine::relay_tick(std::uint64_t now, std::uint32_t count) {
  counters.events += count;
  std::uint32_t rest = 0;  // how many events are left in tick_scratch
  const auto visit_rest = [&](auto visit) {
    for (std::uint32_t at = 0; at < rest; at += PendingSet::kEventsInRunMax) {
      visit(tick_scratch + at, std::min(rest - at, PendingSet::kEventsInRunMax));
    }
  };
  if (count <= kSortedCountMax) return relay_sorted(now, count);
  if (sorted_ticks_left != 0) {
    --sorted_ticks_left;
    return relay_sorted(now, count);
  }
  if (all_positive(now, count)) {
    rest = relay_steady(now, count);
    if (rest > kSortedCountMax) {
      find_shared(visit_rest);
      rest = relay_alone(now, visit_rest);
      met_again->fill(0);
    }
  } else {
    if (count <= rank_count_max()) {
      sorted_ticks_left = kSortedTicks;
      return relay_sorted(now, count);
    }
    const std::uint32_t shared = find_shared([&](auto visit) { pending.visit_tick(now, visit); });
    if (shared > count / 4) {  // at least half of the events are not alone
      met_again->fill(0);
      sorted_ticks_left = kSortedTicks;
      return relay_sorted(now, count);
    }
    rest = relay_alone(now, [&](auto visit) { pending.take_tick(now, visit); });
    met_again->fill(0);
  }
  if (rest == 0) return;
  sort_tick(
      rest, relay_ties(), tick_events, tick_scratch, visit_rest, [] {},
      [&](const PackedEvent* events, std::uint32_t in_piece) {
        relay_in_order(now, events, in_piece);
      });
}

void Engine::relay_sorted(std::uint64_t now, std::uint32_t count) {
  sort_tick(
      count, relay_ties(), tick_events, tick_scratch, [&](auto visit) { pending.visit_tick(now, visit); },
      [&] { pending.drop_tick(now); },
      [&](const PackedEvent* events, std::uint32_t in_piece) {
        relay_in_order(now, events, in_piece);
      });
}

}  // namespace rse
