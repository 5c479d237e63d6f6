// Hostile checkpoints. Restoring good ones is compared with the reference in reference_test.cc.
#include <doctest/doctest.h>

#include "torus/base/random.h"
#include "torus/engine/torus.h"

using namespace rse;

namespace {

constexpr Capacity kSmall{.events = 60, .edges = 60, .processes = 10, .outbox_events = 10};
constexpr CellId kBase{0};

/// A torus with something of everything in region 0.
void fill(Torus& torus) {
  torus.set_relay({3}, 100);
  for (std::uint32_t i = 0; i < 5; ++i) {
    static_cast<void>(torus.connect(kBase, {i * 30000}, 1 + i));
    static_cast<void>(torus.connect({7}, {i}, 1 + i));
  }
  static_cast<void>(torus.spawn({9}, "wave", "", {0}));
  static_cast<void>(torus.spawn({9}, "churn", "", {0}));
  static_cast<void>(torus.spawn({200}, "phold", "remote=20", {0}));
  for (std::uint32_t i = 0; i < 20; ++i) {
    static_cast<void>(
        torus.insert({{i % 7 * 1000}, {i}, {90000 + i}, static_cast<std::int32_t>(i)}));
  }
  torus.begin_epoch({0}, {900});
  torus.run_epoch();
}

/// Reads hostile bytes; what is accepted must be canonical and run.
void read_hostile(Torus& torus, const Bytes& head, const Bytes& region) {
  torus.reset({0});
  if (!torus.read_head(head) || !torus.read_region(0, region)) return;
  Bytes head_again;
  Bytes region_again;
  torus.write_head(head_again);
  torus.write_region(0, region_again);
  CHECK(head_again == head);
  CHECK(region_again == region);
  torus.begin_epoch({900}, {1100});
  torus.run_epoch();
}

}  // namespace

TEST_CASE(
    "checkpoint: no flipped bit and no truncation of it can crash a torus or pass unnoticed") {
  Torus torus({0}, kSmall);
  fill(torus);
  Bytes head;
  Bytes region;
  torus.write_head(head);
  torus.write_region(0, region);
  for (std::size_t size = 0; size < region.size(); ++size) {
    CAPTURE(size);
    torus.reset({0});
    REQUIRE(torus.read_head(head).ok());
    CHECK_FALSE(torus.read_region(0, std::span(region).first(size)).ok());
  }
  for (std::size_t size = 0; size < head.size(); ++size) {
    CAPTURE(size);
    torus.reset({0});
    CHECK_FALSE(torus.read_head(std::span(head).first(size)).ok());
  }
  for (std::size_t bit = 0; bit < region.size() * 8; ++bit) {
    CAPTURE(bit);
    Bytes bad = region;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    read_hostile(torus, head, bad);
  }
  for (std::size_t bit = 0; bit < head.size() * 8; ++bit) {
    CAPTURE(bit);
    Bytes bad = head;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    read_hostile(torus, bad, region);
  }
}

TEST_CASE("checkpoint: random damage in many places is refused or harmless") {
  Torus torus({0}, kSmall);
  fill(torus);
  Bytes head;
  Bytes region;
  torus.write_head(head);
  torus.write_region(0, region);
  for (std::uint64_t seed = 1; seed <= 5000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Bytes bad = region;
    for (std::uint32_t i = 0; i <= random.below(4); ++i) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(bad.size()));
      const std::uint64_t extreme[] = {0, 0xFF, random.next()};
      bad[at] = static_cast<std::byte>(extreme[random.below(3)]);
    }
    if (random.below(4) == 0) bad.resize(random.below(static_cast<std::uint32_t>(bad.size())));
    if (random.below(8) == 0) bad.push_back(std::byte{0});
    read_hostile(torus, head, bad);
  }
}

TEST_CASE("checkpoint: a region twice, of another torus, or out of its place is refused") {
  Torus torus({0}, kSmall);
  fill(torus);
  Bytes head;
  Bytes region;
  torus.write_head(head);
  torus.write_region(0, region);
  torus.reset({0});
  REQUIRE(torus.read_head(head).ok());
  CHECK_FALSE(torus.read_region(1, region).ok());
  CHECK(torus.read_region(0, region).ok());
  CHECK_FALSE(torus.read_region(0, region).ok());
  torus.reset({1});
  CHECK(torus.read_head(head).error() == Error::kWrongTorus);
  CHECK(torus.read_region(0, region).error() == Error::kWrongTorus);
}

TEST_CASE("checkpoint: a larger torus restored from a smaller one keeps the smaller one's limits") {
  Torus small({0}, kSmall);
  Torus large({0}, Capacity{});
  Bytes head;
  small.write_head(head);
  REQUIRE(large.read_head(head).ok());
  for (std::uint32_t i = 0; i < kSmall.events; ++i)
    REQUIRE(large.insert({{i}, kBase, kBase, 0}).ok());
  CHECK(large.insert({{0}, kBase, kBase, 0}).error() == Error::kQueueFull);
  head.clear();
  large.reset({0});
  large.write_head(head);
  CHECK(small.read_head(head).error() == Error::kTooLarge);
}

TEST_CASE("checkpoint: a cell with two edges to one target is refused") {
  Torus torus({0}, kSmall);
  REQUIRE(torus.connect(kBase, {5}, 1).ok());
  REQUIRE(torus.connect(kBase, {6}, 1).ok());
  Bytes head;
  Bytes region;
  torus.write_head(head);
  torus.write_region(0, region);
  const std::size_t second_target =
      6 + 2 + 2 + 1 + 4 + 8;  // before it: magic, counts, cell, the first edge
  REQUIRE(region[second_target] == std::byte{6});
  region[second_target] = std::byte{5};
  torus.reset({0});
  REQUIRE(torus.read_head(head).ok());
  CHECK(torus.read_region(0, region).error() == Error::kMalformed);
}
