#include "transport/adaptive_spin.h"

#include <doctest/doctest.h>

using namespace rse;
using Look = AdaptiveSpin::Look;

namespace {

constexpr Duration kLimit{20'000};
constexpr Duration kStep{100};  // from one reading of the clock to the next

Instant now{1'000'000};
Instant tick() { return now = now + kStep; }

/// Looks, with nothing to be found; how long it took to give up.
Duration look_in_vain(AdaptiveSpin& spin) {
  const Instant begin = now;
  spin.took_message();
  spin.begin_turn();
  CHECK(spin.look([] { return false; }) == Look::kQuiet);
  return elapsed(begin, now);
}

/// Looks, with a message at the third look.
Look look_and_find(AdaptiveSpin& spin) {
  int looks = 0;
  spin.took_message();
  spin.begin_turn();
  return spin.look([&] { return ++looks == 3; });
}

}  // namespace

TEST_CASE("spin: who does not spin never looks and sleeps at once") {
  AdaptiveSpin spin({});
  int looks = 0;
  spin.took_message();
  spin.begin_turn();
  CHECK(spin.look([&] { return ++looks > 0; }) == Look::kQuiet);
  CHECK(looks == 0);
}

TEST_CASE("spin: looking in vain halves the time down to a sixteenth, and finding doubles it up to the limit") {
  AdaptiveSpin spin(kLimit, tick);
  Duration expected = kLimit;
  for (int times = 0; times < 10; ++times) {
    CAPTURE(times);
    const Duration took = look_in_vain(spin);
    CHECK(took >= expected);
    CHECK(took.raw <= expected.raw + 5 * kStep.raw);
    expected = std::max(Duration{expected.raw / 2}, Duration{kLimit.raw / 16});
  }
  for (int times = 0; times < 5; ++times) CHECK(look_and_find(spin) == Look::kNews);
  CHECK(look_in_vain(spin) >= kLimit);
}

TEST_CASE("spin: time without a message counts once, however often it is looked again") {
  AdaptiveSpin spin(kLimit, tick);
  look_in_vain(spin);
  for (int again = 0; again < 10; ++again) CHECK(spin.look([] { return false; }) == Look::kQuiet);
  CHECK(look_in_vain(spin) >= Duration{kLimit.raw / 2});
}

TEST_CASE("spin: others have their turn, whether messages do not come or do not end") {
  AdaptiveSpin spin(milliseconds(10), tick);
  const Instant begin = now;
  spin.took_message();
  spin.begin_turn();
  CHECK(spin.look([] { return false; }) == Look::kTurnOver);
  CHECK(elapsed(begin, now).raw <= AdaptiveSpin::kTurn.raw + 5 * kStep.raw);
  spin.begin_turn();
  int found = 0;
  while (spin.look([] { return true; }) == Look::kNews) ++found;
  CHECK(found <= 100);
}
