// Memory that holds anything at all: no crash, no endless loop, and after the damage a new session works.
#include <doctest/doctest.h>

#include "transport/ivshmem/frame_check.h"
#include "transport/ivshmem/participant.h"
#include "transport/ivshmem/test_memory.h"

using namespace rse;
using Kind = Participant::Event::Kind;
using testing::intact;
using testing::number_of;
using testing::numbered;
using testing::TestMemory;

namespace {

/// Owners that do what every owner does: open where they may, announce again when displaced.
struct Owner {
  Owner(const RingRegion& region, std::uint32_t slot) : self(region, {.slot = slot}) {}
  Kind step(std::uint32_t other) {
    const Participant::Event event = self.poll();
    if (event.kind == Kind::kDisplaced) self.announce();
    if (event.kind == Kind::kMessage) {
      ++messages;
      if (!intact(event.message)) ++wrong;
    }
    if (event.kind == Kind::kNothing) ++idle;
    // Nothing came about for a while: the offer, or the peer's answer, was lost.
    if (self.opens(other) && !self.is_open(other) && self.present(other) && idle % 16 == 0) self.open(other);
    return event.kind;
  }
  Participant self;
  std::uint64_t messages = 0, wrong = 0, idle = 0;
};

}  // namespace

TEST_CASE("damage: random bytes anywhere, at any time; what is delivered is what was sent, and afterwards all is well") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    TestMemory memory;
    Owner a(memory.region(), 0), b(memory.region(), 1);
    std::uint64_t sent = 0;
    for (int step = 0; step < 600; ++step) {
      a.step(1);
      b.step(0);
      Owner& from = random.below(2) == 0 ? a : b;
      const Bytes message = numbered(++sent, 8 + random.below(1500));
      from.self.put(&from == &a ? 1 : 0, message, 0);
      if (random.below(10) != 0) continue;
      // Mostly where it hurts: presence, the two rings' controls, their data.
      const std::size_t areas[] = {kPresenceOffset, kSlotsOffset, kRingsOffset, kRingsOffset + 7 * sizeof(RingControl),
                                   kDataOffset, kDataOffset + 7 * kRingBytesMin};
      const std::size_t sizes[] = {64, 512, 256, 256, kRingBytesMin, kRingBytesMin};
      const std::uint32_t area = random.below(6);
      const std::size_t at = areas[area] + random.below(static_cast<std::uint32_t>(sizes[area]));
      memory.bytes()[at] = random.below(2) == 0 ? static_cast<std::byte>(random.next())
                                                : memory.bytes()[at] ^ (std::byte{1} << random.below(8));
    }
    CHECK(a.wrong + b.wrong == 0);
    // From here on nothing is damaged, but what was, stays until it is written again.
    std::uint64_t a_before = a.messages, b_before = b.messages;
    for (int step = 0; step < 3000 && (a.messages < a_before + 40 || b.messages < b_before + 40); ++step) {
      const Bytes message = numbered(++sent, 500);
      a.self.put(1, message, 0);
      b.self.put(0, message, 0);
      a.step(1);
      b.step(0);
    }
    CHECK(a.messages >= a_before + 40);
    CHECK(b.messages >= b_before + 40);
    CHECK(a.wrong + b.wrong == 0);
  }
}

TEST_CASE("damage: memory of noise alone never delivers, loops or reads outside of it") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    TestMemory memory;
    Participant self(memory.region(), {.slot = 3});
    for (int round = 0; round < 20; ++round) {
      const std::size_t end = kDataOffset + 56 * kRingBytesMin;
      for (std::size_t at = kPresenceOffset; at + 8 <= end; at += 8) {
        if (at == kPresenceOffset + 3 * 8) continue;
        std::uint64_t word = random.next();
        if (random.below(3) == 0) word %= 2 * kRingBytesMin;  // so that some of it is nearly believable
        std::memcpy(memory.bytes().data() + at, &word, sizeof word);
      }
      for (int poll = 0; poll < 100; ++poll) {
        const Participant::Event event = self.poll();
        CHECK(event.kind != Kind::kMessage);
        if (event.kind == Kind::kAppeared) self.open(event.peer);
        for (std::uint32_t peer = 0; peer < kParticipantsMax; ++peer) {
          if (peer != 3) self.put(peer, numbered(1, 100), 0);
        }
        (void)self.take_bells();
        (void)self.take_writable();
        if (self.try_sleep()) self.wake();
      }
    }
  }
}

TEST_CASE("damage: a hostile producer's frames are refused one property at a time") {
  struct Lie {
    const char* what;
    void (*tell)(RingFrame&);
  };
  const Lie lies[] = {
      {"magic", [](RingFrame& frame) { frame.magic ^= 1; }},
      {"no payload", [](RingFrame& frame) { frame.size = 0; }},
      {"payload beyond the frame's limit", [](RingFrame& frame) { frame.size = 4000; }},
      {"payload beyond the tail", [](RingFrame& frame) { frame.size = 300; }},
      {"payload of nearly 4 GiB", [](RingFrame& frame) { frame.size = ~0u; }},
      {"message larger than any", [](RingFrame& frame) { frame.message_size = kRingMessageBytesMax + 1; }},
      {"message smaller than its part", [](RingFrame& frame) { frame.message_size = 99; }},
      {"a part from the middle", [](RingFrame& frame) { frame.offset = 1; frame.message_size = 200; }},
      {"a frame again", [](RingFrame& frame) { frame.sequence -= 1; }},
      {"padding that is none", [](RingFrame& frame) { frame.magic = kRingPaddingMagic; }},
  };
  for (const Lie& lie : lies) {
    CAPTURE(lie.what);
    TestMemory memory;
    RingWriter writer;
    RingReader reader;
    writer.bind(memory.region(), 0, 1);
    reader.bind(memory.region(), 0, 1);
    writer.open(5);
    REQUIRE(reader.join(5));
    const Bytes message = numbered(1, 100);
    writer.put(message, 0);
    CHECK(reader.poll() == RingPoll::kMessage);
    writer.put(message, 0);
    // The second frame with a good sum over the lie: whoever writes the memory can compute sums.
    std::byte* const at = memory.region().ring_data(0, 1) + 2 * kFrameAlignment + frame_bytes(100) - kFrameAlignment;
    RingFrame frame;
    std::memcpy(&frame, at, sizeof frame);
    REQUIRE(frame.magic == kRingFrameMagic);
    lie.tell(frame);
    Bytes copy(100);
    frame.check = checked_copy(copy.data(), message.data(), 100, frame_seed(frame, 5), SumOf::kSource);
    std::memcpy(at, &frame, sizeof frame);
    CHECK(reader.poll() == RingPoll::kDamaged);
  }
}
