#include "torus/braid/epochs.h"

#include <algorithm>

namespace rse {

void Epochs::enter(std::uint64_t violations_two_before) {
  if (mode == EpochLength::kFixed || next.raw < kLookaheadEpochs) return;
  calm = violations_two_before == 0 ? calm + 1 : 0;
  if (violations_two_before > kShrinkAboveViolations) {
    length = std::max(kAdaptiveTicksMin, length / 2);
  } else if (calm == kCalmEpochsToGrow) {
    length = length > kAdaptiveTicksMax / 2 ? kAdaptiveTicksMax : 2 * length;
    calm = 0;
  }
}

Tick Epochs::end() const {
  return length > kLastTick.raw - start.raw ? kLastTick : start + TickSpan{length};
}

void Epochs::finish() {
  exhausted = exhausted || length > kLastTick.raw - start.raw;
  start = end();
  ++next.raw;
}

// Whether K stays what it is as long as no violation comes. Without adaptation always; otherwise once it has reached its
// upper bound. The first two epochs are entered without counting calm ones.
bool Epochs::steady() const {
  return mode == EpochLength::kFixed ||
         (next.raw >= kLookaheadEpochs && length == kAdaptiveTicksMax);
}

void Epochs::pass_over_steady(std::uint64_t count) {
  const unsigned __int128 end = start.raw + static_cast<unsigned __int128>(length) * count;
  exhausted = exhausted || end > kLastTick.raw;
  start = end > kLastTick.raw ? kLastTick : Tick{static_cast<std::uint64_t>(end)};
  next.raw += count;
  if (mode == EpochLength::kAdaptive) {
    calm = static_cast<std::uint32_t>((calm + count % kCalmEpochsToGrow) % kCalmEpochsToGrow);
  }
}

void Epochs::pass_over(std::uint64_t count) {
  for (; count != 0 && !steady(); --count) {  // K doubles every 8 epochs: some 120 rounds at most
    enter(0);
    finish();
  }
  pass_over_steady(count);
}

Epoch Epochs::holder_of(Tick time) const {
  Epochs passing = *this;
  while (!passing.steady()) {
    Epochs entered = passing;
    entered.enter(0);
    if (time < entered.end()) return passing.next;
    entered.finish();
    passing = entered;
  }
  if (time < passing.start) return passing.next;
  return passing.next + (time.raw - passing.start.raw) / passing.length;
}

}  // namespace rse
