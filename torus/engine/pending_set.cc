#include "torus/engine/pending_set.h"

#include <algorithm>
#include <bit>

namespace rse {

void PendingSet::carve(Carver& carver, std::uint32_t events_max) {
  // Worst case: all far, plus one chunk begun in each list, the null chunk and the one that
  // enter_block() reads from.
  const std::uint64_t chunks =
      events_max / kFarEventsPerChunk + 1 + kNearSlots + std::uint64_t{kFarLevels} * kFarSlots + 2;
  RSE_ASSERT(chunks * kChunkWords <= 0xFFFFFFFFu, "a chunk's place must fit in 32 bits");
  words_size_ = static_cast<std::uint32_t>(chunks * kChunkWords);
  carver.carve(near_at_, kNearSlots);
  carver.carve(near_first_, kNearSlots);
  carver.carve(far_, kFarLevels);
  carver.carve(words_, words_size_);
}

void PendingSet::reset() {
  drop_all();
  window_start_ = 0;
  cursor_ = 0;
}

std::uint32_t PendingSet::allocate_chunk() {
  std::uint32_t chunk = free_chunk_;
  if (chunk != 0) {
    free_chunk_ = next_chunk(chunk);
  } else {
    RSE_ASSERT(fresh_chunk_ < words_size_, "the pool holds the worst case of the capacity");
    chunk = fresh_chunk_;
    fresh_chunk_ += kChunkWords;
  }
  words_[chunk] = 0;
  return chunk;
}

std::uint32_t PendingSet::grow_near(std::uint32_t slot, std::uint32_t at) {
  const std::uint32_t chunk = allocate_chunk();
  if (at == 0) {
    near_first_[slot] = chunk;
    near_bits_[slot / 64] |= std::uint64_t{1} << (slot % 64);
    near_words_ |= 1u << (slot / 64);
  } else {
    words_[at - kChunkWords] = chunk;
  }
  return chunk + 1;
}

void PendingSet::insert_far(std::uint64_t time, PackedEvent event) {
  const std::uint64_t block = time >> kBlockBits;
  const std::uint64_t difference = block ^ (window_start_ >> kBlockBits);
  const unsigned level = (63 - static_cast<unsigned>(std::countl_zero(difference))) / kDigitBits;
  const auto slot = static_cast<std::uint32_t>(block >> (level * kDigitBits)) & (kFarSlots - 1);
  FarLevel& far = far_[level];
  std::uint32_t at = far.at[slot];
  if (at == 0) {
    at = allocate_chunk();
    far.first[slot] = at;
    far.earliest[slot] = time;
    far.bits[slot / 64] |= std::uint64_t{1} << (slot % 64);
    far.words |= 1u << (slot / 64);
    far_levels_ |= 1u << level;
    at += 2;
  } else if ((at & kChunkMask) == 0) {
    const std::uint32_t chunk = allocate_chunk();
    words_[at - kChunkWords] = chunk;
    at = chunk + 2;
  }
  words_[at] = time;
  words_[at + 1] = event;
  far.at[slot] = at + 2;
  far.earliest[slot] = std::min(far.earliest[slot], time);
}

// The window passes from its block to a later one; no event is due in between. Levels below the
// highest digit that changes are therefore empty, and of the lists at that digit only the new
// block's own has to come down.
void PendingSet::enter_block(std::uint64_t block) {
  const std::uint64_t difference = block ^ (window_start_ >> kBlockBits);
  window_start_ = block << kBlockBits;
  cursor_ = window_start_;
  if (difference == 0) return;
  const unsigned level = (63 - static_cast<unsigned>(std::countl_zero(difference))) / kDigitBits;
  const auto slot = static_cast<std::uint32_t>(block >> (level * kDigitBits)) & (kFarSlots - 1);
  FarLevel& far = far_[level];
  const std::uint32_t at = far.at[slot];
  if (at == 0) return;
  far.at[slot] = 0;
  far.bits[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  if (far.bits[slot / 64] == 0) far.words &= ~(1u << (slot / 64));
  if (far.words == 0) far_levels_ &= ~(1u << level);
  const std::uint32_t last = (at - 1) & ~kChunkMask;
  for (std::uint32_t chunk = far.first[slot];;) {
    const std::uint32_t end = chunk == last ? at : chunk + kChunkWords;
    for (std::uint32_t i = chunk + 2; i < end; i += 2) insert(words_[i], words_[i + 1]);
    const std::uint32_t next = next_chunk(chunk);
    free_chunk(chunk);
    if (chunk == last) break;
    chunk = next;
  }
}

// The slots from the cursor's on, around the table, are the ticks from the cursor on: those before
// it are empty.
std::uint64_t PendingSet::near_from_cursor() const {
  const std::uint32_t slot = static_cast<std::uint32_t>(cursor_) & kNearMask;
  const std::uint32_t word = slot / 64;
  const std::uint64_t here = near_bits_[word] >> (slot % 64);
  if (here != 0) return cursor_ + static_cast<unsigned>(std::countr_zero(here));
  const std::uint32_t after = near_words_ & (~std::uint32_t{0} << word << 1);
  const std::uint32_t words = after != 0 ? after : near_words_;
  if (words == 0) return kNever;
  const auto found_word = static_cast<std::uint32_t>(std::countr_zero(words));
  const std::uint32_t found =
      found_word * 64 + static_cast<std::uint32_t>(std::countr_zero(near_bits_[found_word]));
  return cursor_ + ((found - slot) & kNearMask);
}

std::uint64_t PendingSet::far_earliest() const {
  if (far_levels_ == 0) return kNever;
  const FarLevel& far = far_[std::countr_zero(far_levels_)];
  const auto word = static_cast<unsigned>(std::countr_zero(far.words));
  return far.earliest[word * 64 + static_cast<unsigned>(std::countr_zero(far.bits[word]))];
}

std::uint64_t PendingSet::search_before(std::uint64_t end) {
  for (;;) {
    const std::uint64_t near = near_from_cursor();
    if (near - window_start_ < kBlockTicks) {
      if (near >= end) return kNever;
      cursor_ = near;
      return near;
    }
    // The following block's events may lie both near and far: enter it, which brings them together,
    // and look again.
    const std::uint64_t next = std::min(near, far_earliest());
    if (next >= end) return kNever;
    enter_block(next >> kBlockBits);
  }
}

std::uint64_t PendingSet::earliest() const { return std::min(near_from_cursor(), far_earliest()); }

std::uint32_t PendingSet::count_at(std::uint64_t time) const {
  const std::uint32_t slot = static_cast<std::uint32_t>(time) & kNearMask;
  const std::uint32_t last = (near_at_[slot] - 1) & ~kChunkMask;
  std::uint32_t count = near_at_[slot] - last - 1;
  for (std::uint32_t chunk = near_first_[slot]; chunk != last; chunk = next_chunk(chunk)) count += kEventsInRunMax;
  return count;
}

void PendingSet::drop_tick(std::uint64_t time) {
  const std::uint32_t slot = static_cast<std::uint32_t>(time) & kNearMask;
  const std::uint32_t last = (near_at_[slot] - 1) & ~kChunkMask;
  words_[last] = free_chunk_;  // the list as a whole becomes the front of the free one
  free_chunk_ = near_first_[slot];
  forget_near(slot);
}

void PendingSet::forget_near(std::uint32_t slot) {
  near_at_[slot] = 0;
  near_bits_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  if (near_bits_[slot / 64] == 0) near_words_ &= ~(1u << (slot / 64));
}

void PendingSet::drop_all() {
  for (std::uint32_t slot = 0; slot < kNearSlots; slot += 64) {
    if (near_bits_[slot / 64] != 0) std::memset(near_at_ + slot, 0, 64 * sizeof(near_at_[0]));
    near_bits_[slot / 64] = 0;
  }
  near_words_ = 0;
  for (unsigned level = 0; level < kFarLevels; ++level) {
    if ((far_levels_ >> level & 1) != 0) std::memset(&far_[level], 0, sizeof(FarLevel));
  }
  far_levels_ = 0;
  free_chunk_ = 0;
  fresh_chunk_ = kChunkWords;
}

}  // namespace rse
