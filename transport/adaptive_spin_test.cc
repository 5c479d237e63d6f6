#include "transport/adaptive_spin.h"

#include <doctest/doctest.h>

using namespace rse;
using Look = AdaptiveSpin::Look;

namespace {

constexpr Duration kLimit{20'000};
constexpr Duration kStep{100};  // from one reading of the clock to the next

Instant now{1'000'000};
Instant tick() { return now = now + kStep; }

/// Looks for what comes at `arrives`, in as many turns as it takes. False: gave up before.
bool look_until(AdaptiveSpin& spin, Instant arrives) {
  Look look = Look::kTurnOver;
  while (look == Look::kTurnOver) {
    spin.begin_turn();
    look = spin.look([&] { return now >= arrives; });
  }
  return look == Look::kNews;
}

/// Looks, with nothing to be found; how long it took to give up.
Duration look_in_vain(AdaptiveSpin& spin) {
  const Instant begin = now;
  CHECK(!look_until(spin, now + milliseconds(1000)));
  return elapsed(begin, now);
}

/// A message comes so long after it was given up to look for it.
void sleep_and_be_sent_one(AdaptiveSpin& spin, Duration asleep) {
  now = now + asleep;
  spin.took_message();
}

void check_looks_for(AdaptiveSpin& spin, Duration expected) {
  const Duration took = look_in_vain(spin);
  CHECK(took >= expected);
  CHECK(took.raw <= expected.raw + 5 * kStep.raw);
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

TEST_CASE("spin: who waits longer than the limit looks half as long each time, and soon only once") {
  AdaptiveSpin spin(kLimit, AdaptiveSpin::kTurn, tick);
  spin.took_message();
  for (int times = 0; times < 10; ++times) {
    CAPTURE(times);
    check_looks_for(spin, {kLimit.raw >> times});
    sleep_and_be_sent_one(spin, kLimit);
  }
  check_looks_for(spin, {});
}

TEST_CASE("spin: who is sent messages within the limit looks twice as long each time, up to the limit, although it has slept") {
  AdaptiveSpin spin(kLimit, AdaptiveSpin::kTurn, tick);
  spin.took_message();
  for (int times = 0; times < 20; ++times) {
    look_in_vain(spin);
    sleep_and_be_sent_one(spin, kLimit);
  }
  Duration expected{};
  while (expected < kLimit) {
    CAPTURE(expected.raw);
    check_looks_for(spin, expected);
    sleep_and_be_sent_one(spin, {kLimit.raw / 4});
    expected = std::max(Duration{2 * expected.raw}, Duration{kLimit.raw / 16});
  }
  check_looks_for(spin, kLimit);
}

TEST_CASE("spin: two that answer each other begin to look, although an answer takes longer than they look for while both sleep") {
  constexpr Duration kToWake{16'000}, kOnTheWay{3'000};
  const Duration limit{50'000};
  AdaptiveSpin ends[2] = {AdaptiveSpin(limit, AdaptiveSpin::kTurn, tick), AdaptiveSpin(limit, AdaptiveSpin::kTurn, tick)};
  for (AdaptiveSpin& end : ends) {
    end.took_message();
    for (int times = 0; times < 10; ++times) {
      look_in_vain(end);
      sleep_and_be_sent_one(end, milliseconds(5));
    }
    look_in_vain(end);
  }
  bool asleep[2] = {true, true};
  for (int message = 0; message < 20; ++message) {
    CAPTURE(message);
    AdaptiveSpin& receiver = ends[message % 2];
    now = now + kOnTheWay;
    if (asleep[message % 2]) now = now + kToWake;
    receiver.took_message();
    // When the answer comes depends on whether the other one sleeps.
    const Instant before = now;
    asleep[message % 2] = !look_until(receiver, now + kOnTheWay + (asleep[1 - message % 2] ? kToWake : Duration{}) + kOnTheWay);
    now = before;
  }
  CHECK(!asleep[0]);
  CHECK(!asleep[1]);
}

TEST_CASE("spin: time without a message counts once, however often it is looked again") {
  AdaptiveSpin spin(kLimit, AdaptiveSpin::kTurn, tick);
  spin.took_message();
  look_in_vain(spin);
  for (int again = 0; again < 10; ++again) CHECK(spin.look([] { return false; }) == Look::kQuiet);
  sleep_and_be_sent_one(spin, kLimit);
  CHECK(look_in_vain(spin) >= Duration{kLimit.raw / 2});
}

TEST_CASE("spin: others have their turn, whether messages do not come or do not end") {
  constexpr Duration turn{7'000};
  AdaptiveSpin spin(milliseconds(10), turn, tick);
  const Instant begin = now;
  spin.took_message();
  spin.begin_turn();
  CHECK(spin.look([] { return false; }) == Look::kTurnOver);
  CHECK(elapsed(begin, now).raw <= turn.raw + 5 * kStep.raw);
  spin.begin_turn();
  int found = 0;
  while (spin.look([] { return true; }) == Look::kNews) ++found;
  CHECK(found <= 100);
}
