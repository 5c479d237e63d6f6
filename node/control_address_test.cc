#include "node/control_address.h"

#include <doctest/doctest.h>

namespace rse {
namespace {

TEST_CASE("control address: paths, loopback addresses, and what is neither") {
  std::string failure;
  const auto path = parse_control_address("/run/rse/a.sock", failure);
  REQUIRE(path);
  CHECK(path->family == AF_UNIX);
  CHECK(path->is_loopback());
  const auto v4 = parse_control_address("127.0.0.1:7500", failure);
  REQUIRE(v4);
  CHECK(v4->is_loopback());
  const auto v6 = parse_control_address("[::1]:7500", failure);
  REQUIRE(v6);
  CHECK(v6->is_loopback());
  const auto wide = parse_control_address("0.0.0.0:7500", failure);
  REQUIRE(wide);
  CHECK_FALSE(wide->is_loopback());
  for (const char* bad : {"", "a", "a:b", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "host.example:1"}) {
    CAPTURE(bad);
    failure.clear();
    CHECK_FALSE(parse_control_address(bad, failure));
    CHECK_FALSE(failure.empty());
  }
  failure.clear();
  CHECK_FALSE(parse_control_address("/" + std::string(200, 'x'), failure));
  CHECK(failure.find("too long") != std::string::npos);
}

}  // namespace
}  // namespace rse
