// A tick of a torus whose processes are all phold, in which neither room nor time can run out: no virtual call and nothing
// sorted.
//
// phold does not look at its events: each takes the next numbers of its process, so that which of a cell's events comes
// first cannot be seen, nor which cell does, but in the order of what goes to other tori. That is put in order last: by
// source, as the tick's canonical order begins with the destination, which is where an event is sent on from. Cells without
// processes are relays and are processed in order, after the others.
#include <algorithm>
#include <array>

#include "torus/base/random.h"
#include "torus/engine/engine.h"
#include "torus/engine/key_sort.h"
#include "torus/engine/phold.h"
#include "torus/engine/programs.h"

namespace rse {
namespace {

// With so few pending events, ticks are too small for their misses to overlap much, and what an event has asked for when it
// was sent is still in the cache when it is due.
constexpr std::uint32_t kFetchedAheadMax = 48;

// Unsorted events hit processes all over the table. So for a whole run of them, step by step, everything is asked for that
// will be read: the misses of a run overlap instead of following each other.
void fetch_processes(const ProcessTable& processes, const PackedEvent* events, std::uint32_t count,
                     std::uint32_t* handles) {
  for (std::uint32_t i = 0; i < count; ++i) {
    handles[i] = processes.first(packed_destination(events[i]));
    __builtin_prefetch(&processes.at(handles[i]));
  }
  for (std::uint32_t i = 0; i < count; ++i) __builtin_prefetch(processes.state_bytes(processes.at(handles[i])));
}

}  // namespace

// Processes the events in cells with processes, in any order. Puts the others into tick_scratch; their number.
std::uint32_t Engine::run_phold(std::uint64_t now) {
  std::uint8_t* const marks = changed.data();
  PackedEvent* const rest = tick_scratch;
  const std::uint32_t first = first_cell;
  const std::uint32_t own = id.raw;
  PendingSet::Appender out(pending, now);
  const TickDigestTerms terms(now, first);
  std::uint64_t sum = 0;
  std::uint32_t rest_count = 0;
  std::uint32_t taken = 0;
  std::uint32_t made = 0;
  const bool fetches_ahead = pending_count <= kFetchedAheadMax;
  pending.take_tick(now, [&](const PackedEvent* events, std::uint32_t in_run) {
    RunCells handles;
    fetch_processes(processes, events, in_run, handles.data());
    RunCells faces;
    std::uint32_t face_count = 0;
    for (std::uint32_t i = 0; i < in_run; ++i) {
      const PackedEvent event = events[i];
      const std::uint32_t index = packed_destination(event);
      std::uint32_t handle = handles[i];
      if (handle == 0) [[unlikely]] {
        rest[rest_count++] = event;
        continue;
      }
      sum += terms.of(event);
      ++taken;
      marks[index >> kRegionCellBits] = 1;
      faces[face_count] = index;
      face_count += is_face(index);
      do {
        Process& process = processes.at(handle);
        handle = process.next;
        PholdState state;
        std::memcpy(&state, processes.state_bytes(process), sizeof(state));
        Random random(process.random);
        const auto send = phold_send(state, own, [&](std::uint32_t bound) { return random.below(bound); });
        process.random = random.state();
        if (!send) [[unlikely]] continue;
        const std::uint32_t target = send->to.raw - first;
        if (target >= kCellCount) {
          static_cast<void>(this->send(now, index, send->to, send->delay, 0));
          continue;
        }
        marks[target >> kRegionCellBits] = 1;
        if (fetches_ahead) processes.fetch(target);
        ++made;
        out.insert(send->delay, pack(target, first + index, 0));
      } while (handle != 0);
    }
    count_faces({faces.data(), face_count});
  });
  tick_sum += sum;
  pending_count += made - taken;
  return rest_count;
}

// Orders what this tick sent to `peer`, from `first` on, by source, keeping the order of what has the same. The outbox has
// room for it a second time.
void Engine::order_outbox(std::uint8_t peer, std::uint32_t first) {
  Event* const events = outboxes[peer] + first;
  const std::uint32_t count = outbox_counts[peer] - first;
  for (std::uint32_t i = 0; i < count; ++i) {
    tick_events[i] = std::uint64_t{index_of(events[i].src)} << kPackedDestinationShift | i;
  }
  const std::uint64_t varying = VaryingBits(tick_events, count).bits();
  const PackedEvent* const sorted = sort_events(tick_events, tick_scratch, count, varying, Ties::kBySource);
  constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kPackedDestinationShift) - 1;
  for (std::uint32_t i = 0; i < count; ++i) events[count + i] = events[sorted[i] & kPlaceMask];
  std::copy_n(events + count, count, events);
}

void Engine::phold_tick(std::uint64_t now, std::uint32_t count) {
  counters.events += count;
  const std::array<std::uint32_t, kTorusCount> sent_before = outbox_counts;
  const std::uint32_t rest = run_phold(now);
  if (rest != 0) {
    sort_tick(
        rest, relay_ties(), tick_events, tick_scratch, [&](auto visit) { visit(tick_scratch, rest); }, [] {},
        [&](const PackedEvent* events, std::uint32_t in_piece) { relay_in_order(now, events, in_piece); });
  }
  for (std::uint8_t peer = 0; peer < kTorusCount; ++peer) {
    if (outbox_counts[peer] - sent_before[peer] > 1) order_outbox(peer, sent_before[peer]);
  }
}

}  // namespace rse
