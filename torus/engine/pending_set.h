// The pending events of a torus: a timing wheel that finds the next tick by bitmaps, whatever the
// gap. Size: room for the events of the capacity however they spread over time. Threads: none.
// Memory: carved from the torus's arena, chunks of 512 bytes that lists share. Errors: none; the
// caller counts and refuses before it inserts. Invariant: every event is in exactly one list, and
// no event is earlier than the window.
//
//   near: the block of 1,024 ticks that holds the cursor and the block after it, one list a tick, 8
//   bytes an event. far:  six levels of 1,024 lists over the 10-bit digits of the block number, 16
//   bytes an event. An event lies at
//         the highest digit in which its block differs from the window's, so a level's lists are
//         all earlier than those of the level above. When the window enters a block, one list at
//         most is spread over the levels below.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "torus/engine/arena.h"
#include "torus/engine/packed_event.h"

namespace rse {

class PendingSet {
 public:
  class Appender;
  class TickAppender;

  static constexpr std::uint32_t kEventsInRunMax = 63;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  void carve(Carver& carver, std::uint32_t events_max);
  /// Empty again, with the window at tick 0.
  void reset();

  /// `time` must not be earlier than the window: no earlier than any tick that next_before()
  /// returned.
  void insert(std::uint64_t time, PackedEvent event) {
    if (time - window_start_ < 2 * kBlockTicks) [[likely]] {
      append_near(static_cast<std::uint32_t>(time) & kNearMask, event);
    } else {
      insert_far(time, event);
    }
  }
  /// The earliest tick with an event if it is before `end`, else kNever. Moves the window to that
  /// tick.
  std::uint64_t next_before(std::uint64_t end) {
    const std::uint32_t slot = static_cast<std::uint32_t>(cursor_) & kNearMask;
    const std::uint64_t soon = near_bits_[slot / 64] >> (slot % 64);  // of the same block
    if (soon == 0) [[unlikely]] return search_before(end);
    const std::uint64_t next = cursor_ + static_cast<unsigned>(std::countr_zero(soon));
    if (next >= end) return kNever;
    cursor_ = next;
    return next;
  }
  /// The earliest tick with an event, kNever if there is none (or it is that tick). Moves nothing.
  std::uint64_t earliest() const;
  /// The number of events of `time`, the tick that next_before() returned.
  std::uint32_t count_at(std::uint64_t time) const;
  /// The events of `time`, the tick that next_before() returned, if they are one run; else nothing. Words behind them may be
  /// read up to kEventsInRunMax in all.
  std::span<const PackedEvent> only_run(std::uint64_t time) const {
    const std::uint32_t slot = static_cast<std::uint32_t>(time) & kNearMask;
    const std::uint32_t first = near_first_[slot] + 1;
    const std::uint32_t count = near_at_[slot] - first;
    return {words_ + first, count <= kEventsInRunMax ? count : 0};
  }
  /// Calls `visit(events, count)` for runs of at most kEventsInRunMax events of `time`, in order of insertion.
  template <class Visit>
  void visit_tick(std::uint64_t time, Visit visit) const;
  /// Forgets the events of `time`; the caller has taken them.
  void drop_tick(std::uint64_t time);
  /// Like visit_tick() and then drop_tick(), but each run's memory is free for `visit` of the next one to insert into,
  /// so that a tick whose events make as many others needs no more chunks than it had, and those still in the cache.
  template <class Visit>
  void take_tick(std::uint64_t time, Visit visit);
  /// Forgets all events; the window stays.
  void drop_all();

  /// Calls `visit(time, events, count)` for the events of a tick or part of one; ticks of the near
  /// lists come in ascending order and before the far ones, which come one by one in no order.
  template <class Visit>
  void for_each(Visit visit) const;

 private:
  static constexpr unsigned kBlockBits = 10;
  static constexpr std::uint64_t kBlockTicks = 1u << kBlockBits;
  static constexpr std::uint32_t kNearSlots = 2 * kBlockTicks;
  static constexpr std::uint32_t kNearMask = kNearSlots - 1;
  static constexpr unsigned kDigitBits = 10;
  static constexpr std::uint32_t kFarSlots = 1u << kDigitBits;
  static constexpr unsigned kFarLevels =
      6;  // 6 digits of 10 bits cover the 54 bits of a block number
  // A chunk is 64 words; the first links to the next chunk of its list. A list's `at` is where its
  // next event goes; a multiple of 64 says that the chunk before is full, 0 that the list is empty.
  // Chunk 0 is never used.
  static constexpr std::uint32_t kChunkWords = 64;
  static_assert(kEventsInRunMax == kChunkWords - 1);
  static constexpr std::uint32_t kChunkMask = kChunkWords - 1;
  static constexpr std::uint32_t kFarEventsPerChunk = (kChunkWords - 2) / 2;

  struct FarLevel {
    std::uint64_t bits[kFarSlots / 64];
    std::uint32_t words;  // which of `bits` are not zero
    std::uint32_t at[kFarSlots];
    std::uint32_t first[kFarSlots];
    std::uint64_t earliest[kFarSlots];  // valid while the list is not empty
  };

  void append_near(std::uint32_t slot, PackedEvent event) {
    std::uint32_t at = near_at_[slot];
    if ((at & kChunkMask) == 0) [[unlikely]]
      at = grow_near(slot, at);
    words_[at] = event;
    near_at_[slot] = at + 1;
  }
  template <class Visit>
  void visit_chunks(std::uint32_t first, std::uint32_t at, Visit visit) const;
  std::uint32_t grow_near(std::uint32_t slot, std::uint32_t at);
  void forget_near(std::uint32_t slot);
  void insert_far(std::uint64_t time, PackedEvent event);
  void enter_block(std::uint64_t block);
  std::uint64_t search_before(std::uint64_t end);
  std::uint64_t near_from_cursor() const;
  std::uint64_t far_earliest() const;
  std::uint32_t allocate_chunk();
  void free_chunk(std::uint32_t chunk) {
    words_[chunk] = free_chunk_;
    free_chunk_ = chunk;
  }
  /// Asks for a chunk that will be read soon: they lie anywhere, so that no processor foresees the next one.
  void fetch_chunk(std::uint32_t chunk) const {
    for (std::uint32_t word = 0; word < kChunkWords; word += 8) __builtin_prefetch(words_ + chunk + word);
  }
  std::uint32_t next_chunk(std::uint32_t chunk) const {
    return static_cast<std::uint32_t>(words_[chunk]);
  }

  std::uint64_t* words_ = nullptr;    // all chunks
  std::uint32_t* near_at_ = nullptr;  // per near slot
  std::uint32_t* near_first_ = nullptr;
  FarLevel* far_ = nullptr;
  std::uint64_t near_bits_[kNearSlots / 64] = {};
  std::uint32_t near_words_ = 0;    // which of near_bits_ are not zero
  std::uint32_t far_levels_ = 0;    // which levels are not empty
  std::uint64_t window_start_ = 0;  // first tick of the block that holds the cursor
  std::uint64_t cursor_ = 0;        // no near event is earlier
  std::uint32_t free_chunk_ = 0;
  std::uint32_t fresh_chunk_ = kChunkWords;  // chunks from here on were never used
  std::uint32_t words_size_ = 0;
};

/// Inserts what the events of `now`, the tick that next_before() returned, send, each so many ticks later. For a loop: keeps
/// in registers where the tables are.
class PendingSet::Appender {
 public:
  Appender(PendingSet& set, std::uint64_t now)
      : set_(set),
        words_(set.words_),
        near_at_(set.near_at_),
        now_(now),
        near_ticks_(2 * kBlockTicks - (now - set.window_start_)) {}

  [[gnu::always_inline]] void insert(std::uint64_t delay, PackedEvent event) {
    if (delay >= near_ticks_) [[unlikely]] {
      set_.insert_far(now_ + delay, event);
      return;
    }
    const auto slot = static_cast<std::uint32_t>(now_ + delay) & kNearMask;
    std::uint32_t at = near_at_[slot];
    if ((at & kChunkMask) == 0) [[unlikely]] {
      at = set_.grow_near(slot, at);
    }
    words_[at] = event;
    near_at_[slot] = at + 1;
  }

 private:
  PendingSet& set_;
  std::uint64_t* const words_;
  std::uint32_t* const near_at_;
  const std::uint64_t now_;
  const std::uint64_t near_ticks_;  // from `now` on to the end of the window
};

/// The same for the events of one tick, which must be among the two blocks from the window's start on; the set must not
/// be inserted into otherwise while it lives.
class PendingSet::TickAppender {
 public:
  TickAppender(PendingSet& set, std::uint64_t time)
      : set_(set),
        words_(set.words_),
        slot_(static_cast<std::uint32_t>(time) & kNearMask),
        at_(set.near_at_[slot_]) {}
  ~TickAppender() { set_.near_at_[slot_] = at_; }
  TickAppender(const TickAppender&) = delete;
  TickAppender& operator=(const TickAppender&) = delete;

  [[gnu::always_inline]] void append(PackedEvent event) {
    if ((at_ & kChunkMask) == 0) [[unlikely]] {
      at_ = set_.grow_near(slot_, at_);
    }
    words_[at_++] = event;
  }

 private:
  PendingSet& set_;
  std::uint64_t* const words_;
  const std::uint32_t slot_;
  std::uint32_t at_;
};

template <class Visit>
void PendingSet::visit_chunks(std::uint32_t first, std::uint32_t at, Visit visit) const {
  const std::uint32_t last = (at - 1) & ~kChunkMask;
  for (std::uint32_t chunk = first; chunk != last; chunk = next_chunk(chunk)) {
    fetch_chunk(next_chunk(chunk));
    visit(chunk, kChunkWords);
  }
  visit(last, at - last);
}

template <class Visit>
void PendingSet::visit_tick(std::uint64_t time, Visit visit) const {
  const std::uint32_t slot = static_cast<std::uint32_t>(time) & kNearMask;
  visit_chunks(near_first_[slot], near_at_[slot], [&](std::uint32_t chunk, std::uint32_t words) {
    visit(static_cast<const PackedEvent*>(words_ + chunk + 1), words - 1);
  });
}

template <class Visit>
void PendingSet::take_tick(std::uint64_t time, Visit visit) {
  const std::uint32_t slot = static_cast<std::uint32_t>(time) & kNearMask;
  const std::uint32_t at = near_at_[slot];
  const std::uint32_t last = (at - 1) & ~kChunkMask;
  std::uint32_t chunk = near_first_[slot];
  forget_near(slot);
  for (;;) {  // with one call of `visit`, which is a loop that has to be inlined
    const std::uint32_t end = chunk == last ? at : chunk + kChunkWords;
    const std::uint32_t next = next_chunk(chunk);
    if (chunk != last) fetch_chunk(next);
    visit(static_cast<const PackedEvent*>(words_ + chunk + 1), end - chunk - 1);
    free_chunk(chunk);
    if (chunk == last) return;
    chunk = next;
  }
}

template <class Visit>
void PendingSet::for_each(Visit visit) const {
  const std::uint32_t first_word = (static_cast<std::uint32_t>(window_start_) & kNearMask) / 64;
  for (std::uint32_t i = 0; i < kNearSlots / 64; ++i) {
    const std::uint32_t word = (first_word + i) % (kNearSlots / 64);
    for (std::uint64_t bits = near_bits_[word]; bits != 0; bits &= bits - 1) {
      const std::uint64_t time =
          window_start_ + i * 64 + static_cast<unsigned>(std::countr_zero(bits));
      visit_tick(time, [&](const PackedEvent* events, std::uint32_t count) {
        visit(time, events, count);
      });
    }
  }
  for (unsigned level = 0; level < kFarLevels; ++level) {
    if ((far_levels_ >> level & 1) == 0) continue;
    const FarLevel& far = far_[level];
    for (std::uint32_t slot = 0; slot < kFarSlots; ++slot) {
      if (far.at[slot] == 0) continue;
      visit_chunks(far.first[slot], far.at[slot], [&](std::uint32_t chunk, std::uint32_t words) {
        for (std::uint32_t i = 2; i < words; i += 2) {
          visit(words_[chunk + i], words_ + chunk + i + 1, 1u);
        }
      });
    }
  }
}

}  // namespace rse
