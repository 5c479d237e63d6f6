#include <doctest/doctest.h>

#include "torus/base/bytes.h"
#include "torus/base/digest.h"
#include "torus/base/result.h"
#include "torus/base/strong.h"

using namespace rse;

TEST_CASE("base: coordinates wrap modulo 32, negative ones too") {
  CHECK(cell_at({0}, -1, 0, 32) == cell_at({0}, 31, 0, 0));
  CHECK(cell_at({2}, 3, 4, 5).raw == 2 * 32768 + 3 * 1024 + 4 * 32 + 5);
  CHECK(torus_of(cell_at({1}, 31, 31, 31)) == TorusId{1});
}

TEST_CASE("base: a reader never passes the end and stays failed") {
  Bytes bytes;
  ByteWriter(bytes).put(std::uint32_t{7});
  ByteReader reader(bytes);
  CHECK(reader.get<std::uint32_t>() == 7);
  CHECK(reader.finished());
  CHECK(reader.get<std::uint8_t>() == 0);
  CHECK_FALSE(reader.ok());
}

TEST_CASE("base: a count that cannot fit in the remaining bytes is refused before allocation") {
  Bytes bytes;
  ByteWriter(bytes).put(std::uint32_t{0xFFFFFFFF});
  ByteReader reader(bytes);
  CHECK(reader.get_count(8) == 0);
  CHECK_FALSE(reader.ok());
}
