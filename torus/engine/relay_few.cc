// The fast loop for ticks of a few events in a torus without processes: one after the other, so that what a tick needs is
// set up once. Sorting so few costs less than finding out what need not be sorted.
#include "torus/engine/engine.h"
#include "torus/engine/rank_sort.h"
#include "torus/engine/relay_step.h"

namespace rse {

// Ticks up to the first one that is not for this loop. How many.
std::uint32_t Engine::relay_few_ticks() {
  if (processes.count() != 0 || epoch_end >= ~std::uint64_t{kDelayMax}) return 0;
  const std::uint32_t count_max = rank_count_max();
  const std::uint64_t made_max = made_by(count_max);
  const RelayStep<true> step(*this);
  std::uint32_t* const faces = face_counts;
  std::uint32_t ticks = 0;
  for (;; ++ticks) {
    const std::uint64_t now = pending.next_before(epoch_end);
    if (now == PendingSet::kNever) return ticks;
    const std::span<const PackedEvent> events = pending.only_run(now);
    const auto count = static_cast<std::uint32_t>(events.size());
    const bool is_tiny = count <= kSortedCountMax;
    if (count == 0 || count > count_max || (!is_tiny && sorted_ticks_left == 0)) return ticks;
    if (pending_count + made_max > limits.events) return ticks;
    sorted_ticks_left -= !is_tiny;
    progress.store(now > epoch_start ? now - epoch_start : 0, std::memory_order_relaxed);
    PackedEvent* const sorted = tick_events;
    rank_sort(events.data(), count, sorted);
    pending.drop_tick(now);
    PendingSet::Appender out(pending, now);
    const TickDigestTerms terms(now, first_cell);
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const PackedEvent event = sorted[i];
      const std::uint32_t index = packed_destination(event);
      sum += terms.of(event);
      std::uint32_t& face = faces[std::min(face_place(index), kNoFacePlace)];
      face = saturating_add(face, 1);
      if (!step.take(event, out)) [[unlikely]] relay(now, event);
    }
    counters.events += count;
    digest = digest_step(digest, Tick{now}, sum);
  }
}

}  // namespace rse
