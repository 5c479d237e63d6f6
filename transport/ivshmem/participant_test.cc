// Several participants of one region: everybody meets everybody, nobody sleeps through a message.
#include "transport/ivshmem/participant.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "transport/ivshmem/test_memory.h"

using namespace rse;
using Kind = Participant::Event::Kind;
using testing::intact;
using testing::number_of;
using testing::numbered;
using testing::TestMemory;

TEST_CASE("participants: eight of them, all with all, in any order of turns") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    TestMemory memory;
    std::vector<Participant> all;
    for (std::uint32_t slot = 0; slot < kParticipantsMax; ++slot) all.emplace_back(memory.region(), Participant::Options{.slot = slot});
    std::uint64_t sent[8][8] = {}, received[8][8] = {};
    std::uint64_t total = 0;
    for (int turn = 0; turn < 400'000 && total < 8 * 7 * 50; ++turn) {
      const std::uint32_t self = random.below(8);
      const std::uint32_t other = (self + 1 + random.below(7)) % 8;
      if (sent[self][other] < 50 && all[self].is_open(other)) {
        const Bytes message = numbered(sent[self][other], 8 + random.below(400));
        if (all[self].put(other, message, 0) == message.size()) ++sent[self][other];
      }
      const Participant::Event event = all[self].poll();
      REQUIRE(event.kind != Kind::kDamaged);
      REQUIRE(event.kind != Kind::kClosed);
      if (event.kind == Kind::kAppeared) all[self].open(event.peer);
      if (event.kind != Kind::kMessage) continue;
      REQUIRE(intact(event.message));
      REQUIRE(number_of(event.message) == received[event.peer][self]++);
      ++total;
    }
    CHECK(total == 8 * 7 * 50);
  }
}

TEST_CASE("participants: who closes a session can have a new one, whichever side it is") {
  TestMemory memory;
  Participant a(memory.region(), {.slot = 2}), b(memory.region(), {.slot = 5});
  const auto until_open = [&] {
    for (int step = 0; step < 50; ++step) {
      const Participant::Event event = a.poll();
      if (event.kind == Kind::kAppeared || event.kind == Kind::kClosed) a.open(5);
      (void)b.poll();
    }
    return a.is_open(5) && b.is_open(2);
  };
  REQUIRE(until_open());
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    if (round % 2 == 0) {
      b.close(2);
    } else {
      a.close(5);
      a.open(5);
    }
    REQUIRE(until_open());
    REQUIRE(a.put(5, numbered(1, 100), 0) == 100);
    Participant::Event event = b.poll();
    for (int step = 0; step < 10 && event.kind != Kind::kMessage; ++step) event = b.poll();
    CHECK(event.kind == Kind::kMessage);
  }
}

TEST_CASE("participants: who leaves is missed, who comes back is another life") {
  TestMemory memory;
  Participant a(memory.region(), {.slot = 0}), b(memory.region(), {.slot = 1});
  const auto heard = [](Participant& participant, Kind kind) {
    for (int step = 0; step < 20; ++step) {
      const Participant::Event event = participant.poll();
      if (event.kind == kind) return true;
      if (event.kind == Kind::kAppeared) participant.open(event.peer);
    }
    return false;
  };
  CHECK(heard(b, Kind::kAppeared));
  CHECK_FALSE(heard(a, Kind::kOpened));
  CHECK(heard(b, Kind::kOpened));
  CHECK(heard(a, Kind::kOpened));
  b.leave();
  CHECK(heard(a, Kind::kClosed));
  CHECK(heard(a, Kind::kLeft));
  CHECK_FALSE(a.present(1));
  Participant again(memory.region(), {.slot = 1});
  CHECK(heard(a, Kind::kAppeared));
  CHECK(heard(b, Kind::kDisplaced));
}

TEST_CASE("participants: a message that is not urgent wakes nobody, and is there when its reader looks") {
  TestMemory memory;
  Participant one(memory.region(), {.slot = 0}), two(memory.region(), {.slot = 1});
  const auto take = [](Participant& self) {
    Participant::Event event = self.poll();
    for (int turn = 0; turn < 100 && event.kind == Kind::kNothing; ++turn) event = self.poll();
    return event;
  };
  REQUIRE(take(one).kind == Kind::kAppeared);
  REQUIRE(take(two).kind == Kind::kAppeared);
  one.open(1);
  two.open(0);
  REQUIRE(take(two).kind == Kind::kOpened);
  REQUIRE(take(one).kind == Kind::kOpened);
  static_cast<void>(one.take_bells());
  REQUIRE(two.try_sleep());
  const std::vector<std::byte> message(64, std::byte{7});
  REQUIRE(one.put(1, message, 0, Wake::kLater) == message.size());
  CHECK(one.take_bells() == 0);
  two.wake();
  CHECK_FALSE(two.try_sleep());
  CHECK(take(two).kind == Kind::kMessage);
  REQUIRE(two.try_sleep());
  REQUIRE(one.put(1, message, 0) == message.size());
  CHECK(one.take_bells() == 1u << 1);
}

TEST_CASE("participants: who rests is woken by what is urgent alone, who sleeps by all that waits for no other reason") {
  TestMemory memory;
  Participant one(memory.region(), {.slot = 0}), two(memory.region(), {.slot = 1});
  const auto settle = [](Participant& self) {
    for (int turn = 0; turn < 100; ++turn) static_cast<void>(self.poll());
  };
  settle(one);
  settle(two);
  one.open(1);
  settle(two);
  settle(one);
  REQUIRE(one.is_open(1));
  static_cast<void>(one.take_bells());
  const std::vector<std::byte> message(64, std::byte{7});
  const auto rings = [&](Sleep sleep, Wake wake) {
    settle(two);
    REQUIRE(two.try_sleep(sleep));
    CHECK(one.rests(1) == (sleep == Sleep::kResting));
    REQUIRE(one.put(1, message, 0, wake) == message.size());
    const bool rung = one.take_bells() != 0;
    two.wake();
    return rung;
  };
  CHECK(rings(Sleep::kUntilBell, Wake::kAtOnce));
  CHECK(rings(Sleep::kUntilBell, Wake::kUnlessResting));
  CHECK_FALSE(rings(Sleep::kUntilBell, Wake::kLater));
  CHECK(rings(Sleep::kResting, Wake::kAtOnce));
  CHECK_FALSE(rings(Sleep::kResting, Wake::kUnlessResting));
  CHECK_FALSE(rings(Sleep::kResting, Wake::kLater));
}

TEST_CASE("participants: two threads that sleep whenever nothing is there never both sleep over a message") {
  // The bell is a counter that the sleeper waits on; a lost bell would leave both waiting.
  constexpr std::uint64_t kRounds = 1'000;
  TestMemory memory;
  Participant sides[2] = {{memory.region(), {.slot = 0}}, {memory.region(), {.slot = 1}}};
  std::atomic<std::uint32_t> bells[2] = {};
  std::atomic<std::uint64_t> slept{0};
  std::atomic<bool> good{true};
  const auto run = [&](std::uint32_t index) {
    Participant& self = sides[index];
    const std::uint32_t other = 1 - index;
    std::uint64_t expected = 0;
    const auto ring = [&] {
      if (self.take_bells() != 0) {
        bells[other].fetch_add(1);
        bells[other].notify_one();
      }
    };
    const auto check = [&](bool right) {
      if (right) return;
      good = false;
      bells[other].fetch_add(1);
      bells[other].notify_one();
    };
    const auto send = [&](std::uint64_t number) { check(self.put(other, numbered(number, 16), 0) == 16); };
    while (expected < kRounds && good) {
      const std::uint32_t bell = bells[index].load();
      const Participant::Event event = self.poll();
      if (event.kind == Kind::kAppeared) self.open(other);
      if (event.kind == Kind::kOpened && index == 0) send(0);
      if (event.kind == Kind::kMessage) {
        check(number_of(event.message) == expected++);
        send(expected - index);  // the one sends the next number, the other the same one back
      }
      ring();
      if (event.kind != Kind::kNothing || !self.try_sleep()) continue;
      ++slept;
      bells[index].wait(bell);
      self.wake();
    }
    ring();
  };
  std::thread first([&] { run(0); });
  run(1);
  first.join();
  CHECK(good.load());
  MESSAGE("slept ", slept.load(), " times in ", kRounds, " rounds");
}
