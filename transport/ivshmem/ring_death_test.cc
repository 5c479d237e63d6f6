// A participant that dies after any of its instructions: the survivor receives whole messages only, in order and without
// gap, and a replacement in the same slot gets a new session with it.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "transport/ivshmem/participant.h"
#include "transport/ivshmem/single_step.h"
#include "transport/ivshmem/test_memory.h"

using namespace rse;
using Kind = Participant::Event::Kind;
using testing::intact;
using testing::number_of;
using testing::numbered;
using testing::TestMemory;

namespace {

constexpr int kPollsMax = 200;

/// Opens a session wherever the other has appeared; false when it does not come about.
bool meet(Participant& a, Participant& b) {
  Participant& opener = a.slot() < b.slot() ? a : b;
  for (int poll = 0; poll < kPollsMax; ++poll) {
    for (Participant* one : {&a, &b}) {
      const Participant::Event event = one->poll();
      if (event.kind == Kind::kDisplaced) return false;
      const std::uint32_t other = one == &a ? b.slot() : a.slot();
      if (one == &opener && one->present(other) && !one->is_open(other) && event.kind != Kind::kNothing) one->open(other);
    }
    if (a.is_open(b.slot()) && b.is_open(a.slot()) && poll > 20) return true;
  }
  return false;
}

/// What `to` gets of a message that `from` sends, within a bounded number of polls.
bool passes(Participant& from, Participant& to, std::uint64_t number, std::size_t size) {
  const Bytes message = numbered(number, size);
  std::size_t done = 0;
  for (int poll = 0; poll < kPollsMax; ++poll) {
    if (done < message.size()) done = from.put(to.slot(), message, done);
    const Participant::Event event = to.poll();
    if (event.kind == Kind::kMessage) return intact(event.message) && number_of(event.message) == number;
    if (event.kind != Kind::kWorked && event.kind != Kind::kNothing) return false;
  }
  return false;
}

/// Everything that a participant ever does to shared memory.
void whole_life(Participant& self, std::uint32_t other, const Bytes& small, const Bytes& large) {
  self.put(other, small, 0);
  self.put(other, large, 0);  // more than fits
  self.close(other);
  self.leave();
  self.announce();
  for (int poll = 0; poll < 8; ++poll) {
    (void)self.poll();
    if (poll == 4) self.open(other);
  }
  (void)self.take_bells();
  if (self.try_sleep()) self.wake();
  self.put(other, small, 0);
}

struct Outcome {
  int states = 0;
  int reopened = 0;
  std::string failure;
};

/// What the world looks like when `dying` has died now. Leaves the memory as it was.
void after_death(const TestMemory& memory, const Bytes& state, const Participant& survivor_before,
                 std::uint32_t dying_slot, Outcome& outcome) {
  Participant survivor = survivor_before;
  std::uint64_t expected = 1;
  for (int poll = 0; poll < kPollsMax; ++poll) {
    const Participant::Event event = survivor.poll();
    if (event.kind == Kind::kNothing) break;
    if (event.kind == Kind::kDamaged) outcome.failure = "a death looked like damage";
    if (event.kind != Kind::kMessage) continue;
    if (!intact(event.message) || number_of(event.message) != expected++) outcome.failure = "a message is not what was sent";
  }
  Participant replacement(memory.region(), {.slot = dying_slot});
  if (!meet(replacement, survivor)) {
    outcome.failure = "no session with the replacement";
  } else if (!passes(replacement, survivor, 100, 3000) || !passes(survivor, replacement, 101, 3000)) {
    outcome.failure = "messages do not pass between survivor and replacement";
  } else {
    ++outcome.reopened;
  }
  std::memcpy(memory.bytes().data(), state.data(), state.size());
}

}  // namespace

#if !defined(__SANITIZE_THREAD__)  // which delays signals
TEST_CASE("ring: a participant dies after any instruction, the survivor and a replacement go on") {
  for (std::uint32_t dying_slot : {0u, 1u}) {
    CAPTURE(dying_slot);
    TestMemory memory;
    Participant survivor(memory.region(), {.slot = 1 - dying_slot});
    Participant dying(memory.region(), {.slot = dying_slot});
    REQUIRE(meet(dying, survivor));
    const Bytes small = numbered(1, 300), large = numbered(2, 6000);
    Bytes state(memory.bytes().size());
    Outcome outcome;
    testing::single_step([&] { whole_life(dying, 1 - dying_slot, small, large); },
                         [&] {
                           if (std::memcmp(state.data(), memory.bytes().data(), state.size()) == 0) return;
                           std::memcpy(state.data(), memory.bytes().data(), state.size());
                           ++outcome.states;
                           if (outcome.failure.empty()) after_death(memory, state, survivor, dying_slot, outcome);
                         });
    CHECK_MESSAGE(outcome.failure.empty(), outcome.failure, " in state ", outcome.states);
    CHECK(outcome.reopened == outcome.states);
    MESSAGE("deaths tried: ", outcome.states);
    CHECK(outcome.states > 60);  // one for each store, which may be 64 bytes wide
  }
}
#endif

TEST_CASE("ring: a participant that dies while it sends, again and again, is replaced in the middle of the traffic") {
  TestMemory memory;
  Participant survivor(memory.region(), {.slot = 0});
  for (std::uint64_t life = 1; life <= 200; ++life) {
    CAPTURE(life);
    Random random(life);
    Participant mortal(memory.region(), {.slot = 1});
    REQUIRE(meet(mortal, survivor));
    std::uint64_t sent = 0, received = 0;
    for (std::uint32_t step = random.below(60); step > 0; --step) {
      const Bytes message = numbered(sent, 8 + random.below(3000));
      if (mortal.put(0, message, 0) < message.size()) break;  // dies with half a message in the ring
      ++sent;
      if (random.below(2) == 0) continue;
      const Participant::Event event = survivor.poll();
      if (event.kind == Kind::kMessage) REQUIRE(number_of(event.message) == received++);
    }
  }
}
