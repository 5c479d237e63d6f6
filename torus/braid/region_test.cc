#include "torus/braid/region.h"

#include <doctest/doctest.h>

#include "torus/base/random.h"

namespace rse {
namespace {

RegionPtr region_of(std::size_t index, std::size_t size) {
  auto region = std::make_shared<Region>();
  region->index = static_cast<std::uint8_t>(index);
  region->bytes.resize(size);
  Random random(index + 1000 * size);
  for (std::byte& byte : region->bytes) byte = static_cast<std::byte>(random.below(256));
  return region;
}

TEST_CASE("region: whatever their sizes, regions arrive as they were sent, in messages of bounded size") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<RegionPtr> sent;
    for (std::size_t index = 0; index < 12; ++index) {
      const std::uint32_t sizes[] = {0, 1, random.below(2000), random.below(300'000), kPartBytes, kPartBytes + 1, 3 * kPartBytes};
      sent.push_back(region_of(index, sizes[random.below(7)]));
    }
    RegionSender sender(sent);
    RegionBuilder builder;
    std::vector<RegionPtr> received;
    while (!sender.done()) {
      std::size_t bytes = 0;
      for (const RegionPiece& piece : sender.next()) {
        bytes += piece.bytes.bytes.size();
        CHECK(piece.bytes.owner != nullptr);
        auto region = builder.add(piece);
        REQUIRE(region);
        if (*region) received.push_back(*region);
      }
      CHECK(bytes <= kPartBytes);
    }
    REQUIRE(received.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      CHECK(received[i]->index == sent[i]->index);
      CHECK(received[i]->bytes == sent[i]->bytes);
    }
  }
}

TEST_CASE("region: a piece that does not follow is refused, and what was begun is given up") {
  const RegionPtr whole = region_of(7, 10);
  const auto piece = [&](std::uint32_t offset, std::size_t size) {
    return RegionPiece{7, 10, offset, SharedBytes(std::span(whole->bytes).subspan(offset, size))};
  };
  RegionBuilder builder;
  CHECK(!builder.add(piece(5, 5)));  // nothing before it
  CHECK(*builder.add(piece(0, 4)) == nullptr);
  CHECK(!builder.add(piece(5, 5)));  // a gap
  CHECK(!builder.add(piece(4, 6)));  // given up
  CHECK(*builder.add(piece(0, 4)) == nullptr);
  RegionPiece other = piece(4, 6);
  other.index = 8;
  CHECK(!builder.add(other));
  CHECK(*builder.add(piece(0, 4)) == nullptr);
  RegionPiece longer = piece(4, 6);
  longer.total = 11;
  CHECK(!builder.add(longer));
  CHECK(*builder.add(piece(0, 4)) == nullptr);
  const auto done = builder.add(piece(4, 6));
  REQUIRE(done);
  CHECK((*done)->bytes == whole->bytes);
}

TEST_CASE("region: an announcement costs no memory: only what has arrived does") {
  RegionBuilder builder;
  const Bytes one(1);
  RegionPiece huge{3, static_cast<std::uint32_t>(kRegionBytesMax), 0, SharedBytes(one)};
  CHECK(*builder.add(huge) == nullptr);
  huge.total += 1;
  CHECK(builder.add(huge).error() == Error::kTooLarge);
  huge.total = 1;
  huge.index = kRegionCount;
  CHECK(builder.add(huge).error() == Error::kTooLarge);
  RegionPiece nothing{3, 5, 0, {}};
  CHECK(builder.add(nothing).error() == Error::kMalformed);  // or it could go on for ever
  RegionPiece beyond{3, 5, 5, SharedBytes(one)};
  CHECK(builder.add(beyond).error() == Error::kMalformed);
}

}  // namespace
}  // namespace rse
