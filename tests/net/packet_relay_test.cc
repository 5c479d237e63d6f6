#include <doctest/doctest.h>

#include <string>

#include "tests/net/packet_relay.h"

namespace rse {
namespace {

constexpr std::size_t kPackets = 10'000;
constexpr Duration kApart{100'000};  // nanoseconds between packets

Bytes packet_of(std::size_t number) {
  const std::string text = std::to_string(number);
  const auto bytes = std::as_bytes(std::span(text));
  return Bytes(bytes.begin(), bytes.end());
}

/// The numbers that arrive from 0 at 1, in order of arrival, when kPackets are sent.
std::vector<std::size_t> arrivals(PacketRelay& relay) {
  std::vector<std::size_t> numbers;
  Instant now;
  const auto drain = [&] {
    while (const auto delivery = relay.poll(now)) {
      CHECK(delivery->from == 0);
      CHECK(delivery->to == 1);
      numbers.push_back(std::stoul(std::string(reinterpret_cast<const char*>(delivery->packet.data()), delivery->packet.size())));
    }
  };
  for (std::size_t number = 0; number < kPackets; ++number) {
    now = now + kApart;
    relay.accept(now, 0, 1, packet_of(number));
    drain();
  }
  while (const auto next = relay.next_arrival()) {
    now = *next;
    drain();
  }
  return numbers;
}

TEST_CASE("a good link delivers everything, once, in order and at once") {
  PacketRelay relay(3, 1);
  const std::vector<std::size_t> numbers = arrivals(relay);
  REQUIRE(numbers.size() == kPackets);
  for (std::size_t i = 0; i < kPackets; ++i) REQUIRE(numbers[i] == i);
  CHECK(relay.counts().overtaken == 0);
}

TEST_CASE("the same seed makes the same network, another seed another") {
  const LinkFaults bad{.loss_percent = 10, .duplicate_percent = 5, .delay = milliseconds(1), .jitter = milliseconds(2)};
  const auto run = [&](std::uint64_t seed) {
    PacketRelay relay(2, seed);
    relay.set(0, 1, bad);
    return arrivals(relay);
  };
  CHECK(run(7) == run(7));
  CHECK(run(7) != run(8));
}

TEST_CASE("loss, doubling and overtaking happen about as often as asked, and are counted") {
  PacketRelay relay(2, 3);
  relay.set(0, 1, {.loss_percent = 10, .duplicate_percent = 5, .delay = milliseconds(1), .jitter = milliseconds(2)});
  const std::vector<std::size_t> numbers = arrivals(relay);
  const PacketRelay::Counts& counts = relay.counts();
  CHECK(counts.lost > kPackets * 8 / 100);
  CHECK(counts.lost < kPackets * 12 / 100);
  CHECK(counts.doubled > kPackets * 3 / 100);
  CHECK(counts.doubled < kPackets * 7 / 100);
  CHECK(counts.overtaken > kPackets / 4);
  CHECK(counts.delivered == counts.accepted - counts.lost + counts.doubled);
  CHECK(numbers.size() == counts.delivered);
}

TEST_CASE("delay holds every packet back, jitter by no more than asked") {
  PacketRelay relay(2, 5);
  relay.set(0, 1, {.delay = milliseconds(3), .jitter = milliseconds(4)});
  for (std::size_t i = 0; i < 1000; ++i) relay.accept(Instant{10'000'000}, 0, 1, packet_of(i));
  CHECK(!relay.poll(Instant{12'999'999}));
  std::size_t arrived = 0;
  while (relay.poll(Instant{17'000'000})) ++arrived;
  CHECK(arrived == 1000);
}

TEST_CASE("a cut takes one direction only, with what is on its way; a healed link delivers what comes after") {
  PacketRelay relay(2, 1);
  relay.set(0, 1, {.delay = milliseconds(1)});
  relay.accept({}, 0, 1, packet_of(1));
  relay.set(0, 1, {.cut = true});
  relay.accept({}, 0, 1, packet_of(2));
  relay.accept({}, 1, 0, packet_of(3));
  const auto back = relay.poll(Instant{} + milliseconds(10));
  REQUIRE(back);
  CHECK(back->from == 1);
  CHECK(!relay.poll(Instant{} + milliseconds(10)));
  CHECK(relay.counts().cut == 2);
  relay.set(0, 1, {});
  relay.accept({}, 0, 1, packet_of(4));
  const auto healed = relay.poll(Instant{});
  REQUIRE(healed);
  CHECK(healed->packet == packet_of(4));
}

TEST_CASE("a direction holds a bounded number of packets; what is more is dropped and counted") {
  PacketRelay relay(2, 1);
  relay.set(0, 1, {.delay = milliseconds(1)});
  for (std::size_t i = 0; i < kOnTheWayMax + 10; ++i) relay.accept({}, 0, 1, packet_of(i));
  CHECK(relay.counts().overflowed == 10);
  std::size_t arrived = 0;
  while (relay.poll(Instant{} + milliseconds(1))) ++arrived;
  CHECK(arrived == kOnTheWayMax);
}

}  // namespace
}  // namespace rse
