#include "transport/machine_addresses.h"

#include <doctest/doctest.h>

#include <string>

using namespace rse;

namespace {

using asio::ip::make_address;
using asio::ip::make_address_v6;

TEST_CASE("machine addresses: an IPv6 address that is being checked, refused, on its way out or temporary is not one to be told to others") {
  const auto line = [](const char* last, const char* flags) {
    return "20010db80000000000000000000000" + std::string(last) + " 02 40 00 " + flags + "     eth0\n";
  };
  const std::string table = "00000000000000000000000000000001 01 80 10 80       lo\n" + line("01", "80") + line("02", "c0") + line("03", "88") +
                            line("04", "20") + line("05", "01") + line("06", "00") + line("07", "44");
  const std::set<asio::ip::address_v6> expected{make_address_v6("2001:db8::2"), make_address_v6("2001:db8::3"), make_address_v6("2001:db8::4"),
                                                make_address_v6("2001:db8::5"), make_address_v6("2001:db8::7")};
  CHECK(passing_v6(table) == expected);
  for (std::size_t size = 0; size < table.size(); ++size)  // wherever it is cut off
    for (const auto& address : passing_v6(table.substr(0, size))) CHECK(expected.contains(address));
}

TEST_CASE("machine addresses: what is no line of the table says nothing") {
  for (const char* text : {"", "\n\n", "x", "20010db8 02 40 00 40 eth0", "20010db800000000000000000000000g 02 40 00 40 eth0",
                           "20010db8000000000000000000000001 02 40 00", "20010db8000000000000000000000001 02 40 00 4z eth0",
                           "20010db8000000000000000000000001 02 40 00 fffffffffffffffff eth0"}) {
    CAPTURE(text);
    CHECK(passing_v6(std::string(text) + "\n").empty());
    CHECK(passing_v6(text).empty());
  }
}

TEST_CASE("machine addresses: loopback is of this machine and is told to nobody; an address of nobody is not of this machine") {
  CHECK(machine_has(make_address("127.0.0.1")));
  CHECK_FALSE(machine_has(make_address("203.0.113.77")));
  for (const auto& address : machine_addresses()) {
    CAPTURE(address.to_string());
    CHECK_FALSE(address.is_loopback());
    CHECK(machine_has(address));
  }
}

}  // namespace
