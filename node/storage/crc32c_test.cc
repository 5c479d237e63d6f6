#include "node/storage/crc32c.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

namespace rse {
namespace {

TEST_CASE("crc32c: the vectors of RFC 3720, appendix B.4") {
  std::vector<std::byte> bytes(32);
  CHECK(crc32c(bytes) == 0x8A9136AA);
  for (std::byte& byte : bytes) byte = std::byte{0xFF};
  CHECK(crc32c(bytes) == 0x62A8AB43);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  CHECK(crc32c(bytes) == 0x46DD794E);
  CHECK(crc32c(std::as_bytes(std::span(std::string_view("123456789")))) == 0xE3069283);
}

TEST_CASE("crc32c: bytes in two parts give the CRC of the whole, wherever they are split, on any processor") {
  std::vector<std::byte> bytes(100);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    const std::span all(bytes);
    CHECK(crc32c(all.subspan(split), crc32c(all.first(split))) == crc32c(all));
    const auto seed = static_cast<std::uint32_t>(split * 77);
    CHECK(crc32c(all.subspan(split), seed) == crc32c_by_tables(all.subspan(split), seed));
  }
}

}  // namespace
}  // namespace rse
