#include "transport/udp/datagram_link.h"

#include <doctest/doctest.h>

#include <cstring>

#include "transport/udp/simulated_path.h"

using namespace rse;

namespace {

/// Message `index` of `size` bytes that depend on both.
Bytes message_of(std::uint64_t index, std::size_t size) {
  Bytes bytes(size);
  Random random(index * 977 + size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
  return bytes;
}

/// Sends messages of mixed sizes both ways and checks that each arrives once, in order, whole. Returns the simulated time.
Duration exchange(const PathOptions& options, std::uint64_t count, std::size_t size_max) {
  std::array<std::uint64_t, 2> sent{}, arrived{};
  std::array<Random, 2> sizes_sent{Random(options.seed + 1), Random(options.seed + 2)};
  std::array<Random, 2> sizes_arrived = sizes_sent;
  bool right = true;
  SimulatedPath path(options, [&](std::size_t end, std::span<const std::byte> message) {
    const std::size_t from = 1 - end;
    const Bytes expected = message_of(arrived[end]++, sizes_arrived[from].below(static_cast<std::uint32_t>(size_max)));
    right &= message.size() == expected.size() && std::memcmp(message.data(), expected.data(), expected.size()) == 0;
  });
  const Instant begin = path.now();
  while (right && (arrived[0] < count || arrived[1] < count)) {
    for (std::size_t end : {0u, 1u}) {
      while (sent[end] < count && path.link(end).queued_bytes() < 1u << 20) {
        path.link(end).push(message_of(sent[end], sizes_sent[end].below(static_cast<std::uint32_t>(size_max))));
        ++sent[end];
      }
    }
    REQUIRE(path.step());
    REQUIRE_FALSE(path.broken);
    REQUIRE(elapsed(begin, path.now()) < milliseconds(600'000));
  }
  CHECK(right);
  return elapsed(begin, path.now());
}

}  // namespace

TEST_CASE("udp: messages arrive once and in order whatever the network loses, doubles and reorders") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    PathOptions options{.seed = seed};
    options.lose_percent = random.below(31);
    options.double_percent = random.below(20);
    options.reorder_percent = random.below(30);
    options.delay = {1'000 + random.next() % 20'000'000};
    exchange(options, 200, 1 + (seed % 4 == 0 ? 200'000 : 5'000));
  }
}

TEST_CASE("udp: a message that takes longer than a window crosses, and one beyond the limit is refused before it is queued") {
  Bytes got;
  SimulatedPath path({.seed = 5, .lose_percent = 5}, [&](std::size_t, auto message) { got.assign(message.begin(), message.end()); });
  const Bytes large = message_of(1, 16u << 20);
  REQUIRE(path.link(0).push(large));
  while (got.empty()) REQUIRE(path.step());
  CHECK(got == large);
  CHECK_FALSE(path.link(0).push(Bytes((16u << 20) + 1)));
}

TEST_CASE("udp: empty messages are messages") {
  int arrived = 0;
  SimulatedPath path({}, [&](std::size_t, auto message) { arrived += message.empty(); });
  for (int i = 0; i < 5; ++i) REQUIRE(path.link(0).push({}));
  while (arrived < 5) REQUIRE(path.step());
}

TEST_CASE("udp: a full queue refuses, and takes again when messages have left") {
  SimulatedPath path({}, [](std::size_t, auto) {});
  const Bytes part(1u << 20);
  std::size_t taken = 0;
  while (path.link(0).push(part)) ++taken;
  CHECK(taken == DatagramLink::kQueueBytesMax / (part.size() + 4));
  while (path.link(0).queued_bytes() > 0) REQUIRE(path.step());
  CHECK(path.link(0).push(part));
}

TEST_CASE("udp: a heartbeat leaves at once beside a full window, arrives at most once, and is not sent again") {
  int arrived = 0;
  SimulatedPath path({.seed = 3, .double_percent = 50}, [&](std::size_t, auto message) { arrived += message.size() == 100; });
  REQUIRE(path.link(0).push(message_of(1, 4u << 20)));
  Bytes packet;
  while (next_packet(path.link(0), path.now(), packet)) {}
  REQUIRE(path.link(0).push_unreliable(Bytes(100)));
  REQUIRE(next_packet(path.link(0), path.now(), packet));
  CHECK(packet.size() < 200);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(path.link(0).push_unreliable(Bytes(100)));
    REQUIRE(path.step());
  }
  while (!path.link(0).idle()) REQUIRE(path.step());
  CHECK(arrived == 20);
  path.options.lose_percent = 100;
  REQUIRE(path.link(0).push_unreliable(Bytes(100)));
  path.step();
  path.options.lose_percent = 0;
  while (path.step()) {}
  CHECK(arrived == 20);
}

TEST_CASE("udp: a timeout with one packet under way sends it again, and owes nothing more at once") {
  SimulatedPath path({.lose_percent = 100}, [](std::size_t, auto) {});
  DatagramLink& link = path.link(0);
  REQUIRE(link.push(Bytes(100)));
  Bytes packet;
  while (next_packet(link, path.now(), packet)) {}
  const std::optional<Instant> timeout = link.next_deadline();
  REQUIRE(timeout);
  REQUIRE(next_packet(link, *timeout, packet));
  CHECK(packet.size() > 100);
  CHECK_FALSE(next_packet(link, *timeout, packet));
  REQUIRE(link.next_deadline());
  CHECK(*link.next_deadline() > *timeout);  // or the timer would run at full speed until there is something to send
}

TEST_CASE("udp: an idle link has nothing to do") {
  SimulatedPath path({}, [](std::size_t, auto) {});
  REQUIRE(path.link(0).push(Bytes(3'000)));
  int steps = 0;
  while (path.step()) ++steps;
  CHECK(steps < 40);
  CHECK(path.link(0).idle());
  CHECK_FALSE(path.link(0).next_deadline());
}

TEST_CASE("udp: packets grow to what the path carries, and shrink again when it carries less") {
  for (std::size_t carries : {1'300u, 1'472u, 9'000u}) {
    CAPTURE(carries);
    std::size_t arrived = 0;
    SimulatedPath path({.seed = 7, .packet_bytes_max = carries}, [&](std::size_t, auto) { ++arrived; });
    for (int i = 0; i < 200; ++i) REQUIRE(path.link(0).push(Bytes(5'000)));
    while (arrived < 200) REQUIRE(path.step());
    CHECK(path.link(0).packet_bytes() <= carries);
    CHECK(path.link(0).packet_bytes() >= (carries == 9'000 ? 8'900 : carries - 100));
    path.options.packet_bytes_max = 1'250;
    for (int i = 0; i < 200; ++i) REQUIRE(path.link(0).push(Bytes(5'000)));
    while (arrived < 400) REQUIRE(path.step());
    CHECK(path.link(0).packet_bytes() <= 1'250);
  }
}

TEST_CASE("udp: a path of 10 MB/s is filled to more than half, and its queue is not flooded") {
  PathOptions options{.seed = 9, .delay = milliseconds(10), .bytes_per_second = 10'000'000, .queue_bytes = 100'000};
  std::size_t arrived = 0;
  SimulatedPath path(options, [&](std::size_t, auto message) { arrived += message.size(); });
  const Instant begin = path.now();
  for (int i = 0; i < 40; ++i) REQUIRE(path.link(0).push(Bytes(1'000'000)));
  while (arrived < 40'000'000) REQUIRE(path.step());
  CHECK(elapsed(begin, path.now()) < milliseconds(8'000));
  const auto stats = path.link(0).stats();
  CHECK(stats.packets_lost * 50 < stats.packets_sent);
}

TEST_CASE("udp: a path that is cut for a second and comes back loses nothing and is used at once") {
  std::size_t arrived = 0;
  SimulatedPath path({.seed = 11}, [&](std::size_t, auto) { ++arrived; });
  for (int i = 0; i < 100; ++i) REQUIRE(path.link(0).push(Bytes(4'000)));
  path.step();
  path.options.lose_percent = 100;
  const Instant cut = path.now();
  while (elapsed(cut, path.now()) < milliseconds(1'000)) REQUIRE(path.step());
  path.options.lose_percent = 0;
  const Instant back = path.now();
  while (arrived < 100) REQUIRE(path.step());
  CHECK(elapsed(back, path.now()) < milliseconds(1'500));
}

TEST_CASE("udp: a small message takes one way, its acknowledgement a millisecond more") {
  Instant arrived{};
  SimulatedPath* at = nullptr;
  SimulatedPath path({.delay = milliseconds(2)}, [&](std::size_t, auto) { arrived = at->now(); });
  at = &path;
  const Instant begin = path.now();
  REQUIRE(path.link(0).push(Bytes(4'700)));
  while (!path.link(0).idle()) REQUIRE(path.step());
  CHECK(elapsed(begin, arrived) == milliseconds(2));
  CHECK(elapsed(begin, path.now()) <= milliseconds(5));
}

TEST_CASE("udp: no packet makes a link crash, read beyond it or grow without bound; one that breaks the rules is named") {
  for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    DatagramLink link({.message_bytes_max = 1'000}, [](auto) {});
    link.push(Bytes(5'000));
    Bytes packet;
    const Instant now{1};
    while (next_packet(link, now, packet)) {}
    for (std::uint64_t number = 0; number < 20; ++number) {
      Bytes hostile(100);
      PacketWriter writer(hostile);
      switch (random.below(4)) {
        case 0: writer.pad(random.below(40)); break;
        case 1: put_stream_header(writer, random.next() >> random.below(64), 4), writer.pad(writer.size() + 4); break;
        case 2: {
          AckFrame ack{.interval_count = 1};
          ack.intervals[0] = {random.below(10), 10 + random.next() % 5};
          put_ack(writer, ack);
          break;
        }
        case 3: put_message(writer, Bytes(random.below(30))); break;
      }
      hostile.resize(writer.size());
      for (std::byte& byte : hostile) {
        if (random.below(8) == 0) byte = static_cast<std::byte>(random.next());
      }
      if (!link.on_packet(now, number, hostile)) break;
      while (next_packet(link, now, packet)) {}
    }
  }
  DatagramLink link({}, [](auto) {});
  std::array<std::byte, 100> room{};
  PacketWriter beyond(room);
  put_stream_header(beyond, kReceiveWindowBytes, 1);
  beyond.pad(beyond.size() + 1);
  CHECK_FALSE(link.on_packet({1}, 0, beyond.bytes()));
  PacketWriter unsent(room);
  AckFrame ack{.interval_count = 1};
  ack.intervals[0] = {0, 1};
  put_ack(unsent, ack);
  CHECK_FALSE(link.on_packet({1}, 1, unsent.bytes()));
}
