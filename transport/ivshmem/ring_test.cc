// One ring between one producer and one consumer, both well.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "transport/ivshmem/checked_copy.h"
#include "transport/ivshmem/ring_reader.h"
#include "transport/ivshmem/ring_writer.h"
#include "transport/ivshmem/test_memory.h"

using namespace rse;
using testing::intact;
using testing::number_of;
using testing::numbered;
using testing::TestMemory;

namespace {

struct Pair {
  explicit Pair(const RingRegion& region) {
    writer.bind(region, 0, 1);
    reader.bind(region, 0, 1);
    writer.open(7);
    REQUIRE(reader.join(7));
  }
  RingWriter writer;
  RingReader reader;
};

}  // namespace

TEST_CASE("checked copy: copies what memcpy would, and every changed bit changes the sum") {
  Random random(1);
  for (std::size_t size = 1; size <= 300; ++size) {
    CAPTURE(size);
    const std::size_t shift = size % 17;
    Bytes from(size + shift), to(size + 40, std::byte{0xEE});
    for (std::byte& byte : from) byte = static_cast<std::byte>(random.next());
    const std::uint64_t sum = checked_copy(to.data() + 20, from.data() + shift, size, 5, SumOf::kCopy);
    CHECK(std::equal(from.begin() + shift, from.end(), to.begin() + 20));
    CHECK(std::all_of(to.begin(), to.begin() + 20, [](std::byte byte) { return byte == std::byte{0xEE}; }));
    CHECK(std::all_of(to.begin() + 20 + size, to.end(), [](std::byte byte) { return byte == std::byte{0xEE}; }));
    CHECK(checked_copy(to.data(), from.data() + shift, size, 5, SumOf::kSource) == sum);
    CHECK(checked_copy(to.data(), from.data() + shift, size, 6, SumOf::kCopy) != sum);
    for (std::size_t bit = 0; bit < 8 * size; bit += 1 + bit / 64) {
      from[shift + bit / 8] ^= std::byte{1} << (bit % 8);
      REQUIRE(checked_copy(to.data(), from.data() + shift, size, 5, SumOf::kSource) != sum);
      from[shift + bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
}

TEST_CASE("checked copy: every processor gives the same sums, as the other end of a ring may run on another kind") {
  Random random(2);
  std::uint64_t all = 0;
  for (std::size_t size = 1; size <= 5000; size += 1 + size / 16) {
    Bytes from(size), to(size);
    for (std::byte& byte : from) byte = static_cast<std::byte>(random.next());
    all = mix(all, checked_copy(to.data(), from.data(), size, 5, SumOf::kCopy));
  }
  CHECK(all == 8792065380305304485u);  // as a Core 2, which has vectors of 16 bytes, a Haswell (32) and a Zen 5 (64) say
}

TEST_CASE("checked copy: blocks that change places and sizes that differ by zeros change the sum") {
  Bytes bytes = numbered(3, 4096), other(4096);
  const std::uint64_t sum = checked_copy(other.data(), bytes.data(), 4096, 0, SumOf::kCopy);
  for (std::size_t at = 64; at < 4096; at += 64) {
    Bytes swapped = bytes;
    std::swap_ranges(swapped.begin(), swapped.begin() + 64, swapped.begin() + static_cast<std::ptrdiff_t>(at));
    CHECK(checked_copy(other.data(), swapped.data(), 4096, 0, SumOf::kCopy) != sum);
  }
  const Bytes zeros(256);
  for (std::size_t size = 1; size < 256; ++size) {
    CHECK(checked_copy(other.data(), zeros.data(), size, 0, SumOf::kCopy) != checked_copy(other.data(), zeros.data(), size + 1, 0, SumOf::kCopy));
  }
}

TEST_CASE("region: only one of this version and size is taken for one") {
  TestMemory memory;
  CHECK(memory.region().formatted());
  for (std::size_t bit = 0; bit < 8 * sizeof(RegionHeader); ++bit) {
    if (bit / 64 == 3) continue;  // the id may be anything but 0
    CAPTURE(bit);
    memory.bytes()[bit / 8] ^= std::byte{1} << (bit % 8);
    CHECK_FALSE(memory.region().formatted());
    memory.bytes()[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  CHECK_FALSE(RingRegion::over(memory.bytes().first(kRegionBytesMin - 1)));
  TestMemory larger(3 * kRegionBytesMin);
  CHECK(larger.region().ring_bytes() == 2 * kRingBytesMin);
}

TEST_CASE("ring: messages of every size pass in order, many times around, also those larger than the ring") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    TestMemory memory;
    Pair pair(memory.region());
    Random random(seed);
    std::uint64_t sent = 0, received = 0, polls = 0;
    Bytes message;
    std::size_t done = 0;
    while (received < 300) {
      if (sent < 300 || done < message.size()) {
        if (done == message.size()) {
          const std::uint32_t kind = random.below(10);
          const std::uint32_t size_max = kind == 0 ? 50'000 : kind < 5 ? 100 : 2000;
          message = numbered(sent++, 1 + random.below(size_max));
          done = 0;
        }
        done = pair.writer.put(message, done);
        if (done < message.size() && random.below(2) == 0) pair.writer.room_again();
      }
      for (std::uint32_t count = random.below(12); count > 0; --count) {
        const RingPoll result = pair.reader.poll();
        REQUIRE(result != RingPoll::kDamaged);
        REQUIRE(result != RingPoll::kClosed);
        if (result == RingPoll::kEmpty) break;
        ++polls;
        if (result != RingPoll::kMessage) continue;
        REQUIRE(intact(pair.reader.message()));
        if (pair.reader.message().size() >= 8) REQUIRE(number_of(pair.reader.message()) == received);
        ++received;
      }
    }
    CHECK(polls > 300);
    CHECK(pair.reader.poll() == RingPoll::kEmpty);
  }
}

TEST_CASE("ring: messages of up to 16 MiB pass through a ring of 4 KiB, whatever came before them") {
  TestMemory memory;
  Pair pair(memory.region());
  for (std::size_t size : {3ul, 65'536ul, 1ul << 20, (1ul << 20) + 1, std::size_t{kRingMessageBytesMax}, 1ul << 20, 5ul}) {
    CAPTURE(size);
    const Bytes message = numbered(9, size);
    std::size_t done = 0;
    RingPoll result = RingPoll::kEmpty;
    while (result != RingPoll::kMessage) {
      if (done < message.size()) done = pair.writer.put(message, done);
      result = pair.reader.poll();
      REQUIRE(result != RingPoll::kDamaged);
    }
    CHECK(std::equal(message.begin(), message.end(), pair.reader.message().begin(), pair.reader.message().end()));
  }
}

TEST_CASE("ring: a full one takes nothing, says that it waits, and goes on when half of it is free") {
  TestMemory memory;
  Pair pair(memory.region());
  const Bytes message = numbered(1, 200);
  std::size_t count = 0;
  while (pair.writer.put(message, 0) == message.size()) ++count;
  CHECK(count == kRingBytesMin / 256 - 1);  // a session begins between two of them, and none is split at the end
  CHECK(pair.writer.put(message, 0) == 0);
  CHECK_FALSE(pair.writer.room_again());
  for (std::size_t taken = 0; taken < count / 2; ++taken) {
    CHECK_FALSE(pair.reader.should_tell_producer());
    CHECK(pair.reader.poll() == RingPoll::kMessage);
  }
  CHECK(pair.reader.should_tell_producer());
  CHECK(pair.writer.room_again());
  CHECK_FALSE(pair.reader.should_tell_producer());
  CHECK_FALSE(pair.writer.room_again());
  CHECK(pair.writer.put(message, 0) == message.size());
}

TEST_CASE("ring: a new session voids what is left of the old one, half a message included") {
  TestMemory memory;
  Pair pair(memory.region());
  CHECK(pair.writer.put(numbered(1, 5000), 0) < 5000);
  CHECK(pair.reader.poll() == RingPoll::kPart);
  pair.writer.open(8);
  CHECK(pair.writer.put(numbered(2, 100), 0) == 100);
  RingPoll result = RingPoll::kPart;
  while (result == RingPoll::kPart) result = pair.reader.poll();
  CHECK((result == RingPoll::kClosed || result == RingPoll::kDamaged));
  REQUIRE(pair.reader.join(8));
  REQUIRE(pair.reader.poll() == RingPoll::kMessage);
  CHECK(number_of(pair.reader.message()) == 2);
  pair.writer.close();
  CHECK(pair.reader.poll() == RingPoll::kClosed);
  CHECK_FALSE(pair.reader.join(8));
}

TEST_CASE("ring: producer and consumer on two threads, without locks and without races") {
  // On a machine that has other things to do, each time that the ring is full or empty may cost milliseconds.
  TestMemory memory(kDataOffset + kRingCount * (64u << 10));
  Pair pair(memory.region());
  constexpr std::uint64_t kCount = 10'000;
  std::thread producer([&] {
    Random random(4);
    for (std::uint64_t number = 0; number < kCount; ++number) {
      const Bytes message = numbered(number, 8 + random.below(number % 64 == 0 ? 9000 : 300));
      for (std::size_t done = 0; done < message.size();) {
        done = pair.writer.put(message, done);
        if (done < message.size()) std::this_thread::yield();
      }
    }
  });
  std::uint64_t received = 0;
  bool good = true;
  while (received < kCount && good) {
    switch (pair.reader.poll()) {
      case RingPoll::kEmpty: std::this_thread::yield(); break;
      case RingPoll::kPart: break;
      case RingPoll::kMessage:
        good = intact(pair.reader.message()) && number_of(pair.reader.message()) == received++;
        break;
      case RingPoll::kClosed:
      case RingPoll::kDamaged: good = false; break;
    }
  }
  CHECK(good);
  CHECK(received == kCount);
  producer.join();
}
