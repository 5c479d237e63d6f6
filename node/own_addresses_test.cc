#include "node/own_addresses.h"

#include <doctest/doctest.h>

#include "torus/braid/view.h"

using namespace rse;

namespace {

using Lines = std::vector<std::string>;

const std::vector<asio::ip::address> kMachine{asio::ip::make_address("192.0.2.1"), asio::ip::make_address("2001:db8::1"),
                                              asio::ip::make_address("10.0.0.1")};

TEST_CASE("own addresses: :PORT is both families, 0.0.0.0 is IPv4, [::] is IPv6, and an address or a name is what it says") {
  CHECK(own_addresses({":7400"}, kMachine) == Lines{"192.0.2.1:7400", "[2001:db8::1]:7400", "10.0.0.1:7400"});
  CHECK(own_addresses({"0.0.0.0:7400"}, kMachine) == Lines{"192.0.2.1:7400", "10.0.0.1:7400"});
  CHECK(own_addresses({"[::]:7400"}, kMachine) == Lines{"[2001:db8::1]:7400"});
  CHECK(own_addresses({"udp::7500"}, kMachine) == Lines{"udp:192.0.2.1:7500", "udp:[2001:db8::1]:7500", "udp:10.0.0.1:7500"});
  for (const char* exact : {"10.0.0.7:7400", "[2001:db8::7]:7400", "udp:node.lan:7400", "[fe80::1%eth0]:7400"}) {
    CAPTURE(exact);
    CHECK(own_addresses({exact}, kMachine) == Lines{exact});
  }
}

TEST_CASE("own addresses: each address listened on has its best ones in the few that a member may have") {
  std::vector<asio::ip::address> many;
  for (int i = 1; i < 20; ++i) many.push_back(asio::ip::make_address("10.0.0." + std::to_string(i)));
  const Lines found = own_addresses({":7400", "udp::7400", "127.0.0.1:7500"}, many);
  CHECK(found.size() == kAddressesMax);
  CHECK(Lines(found.begin(), found.begin() + 5) == Lines{"10.0.0.1:7400", "udp:10.0.0.1:7400", "127.0.0.1:7500", "10.0.0.2:7400", "udp:10.0.0.2:7400"});
}

TEST_CASE("own addresses: a machine without a network is reached by loopback") {
  CHECK(own_addresses({":7400"}, {}) == Lines{"127.0.0.1:7400"});
  CHECK(own_addresses({"[::]:7400"}, {}) == Lines{"[::1]:7400"});
  CHECK(own_addresses({"0.0.0.0:7400"}, {asio::ip::make_address("2001:db8::1")}) == Lines{"127.0.0.1:7400"});
}

}  // namespace
