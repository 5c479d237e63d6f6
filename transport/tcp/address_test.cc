#include "transport/tcp/address.h"

#include <asio/error.hpp>

#include <doctest/doctest.h>

#include <cerrno>

using namespace rse;

TEST_CASE("address: host and port come apart in every notation") {
  const auto check = [](const std::string& text, const std::string& host, std::uint16_t port) {
    CAPTURE(text);
    const auto parsed = parse_host_port(text);
    REQUIRE(parsed);
    CHECK(parsed->host == host);
    CHECK(parsed->port == port);
  };
  check("10.0.0.7:7401", "10.0.0.7", 7401);
  check("10.0.0.7", "10.0.0.7", kTcpDefaultPort);
  check("host.example:1", "host.example", 1);
  check(":0", "", 0);
  check("[::1]:7402", "::1", 7402);
  check("[::1]", "::1", kTcpDefaultPort);
  check("fe80::1", "fe80::1", kTcpDefaultPort);
  check("[fe80::1%eth0]:7403", "fe80::1%eth0", 7403);
  check("::ffff:10.0.0.7", "::ffff:10.0.0.7", kTcpDefaultPort);
}

TEST_CASE("address: what is no address is refused") {
  for (const char* text : {"", "host:", "host:x", "host:70000", "host:-1", "[::1", "[::1]x", "[::1]:", "host:1x",
                           "http://10.0.0.7:7400", "http://10.0.0.7", "[http://10.0.0.7:7400]:7400", "x:y:z", "quic:host:7400"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_host_port(text));
  }
}

TEST_CASE("address: an endpoint prints as what parses to it") {
  for (const char* text : {"10.0.0.7:7401", "[::1]:7402"}) {
    CHECK(to_text(*numeric_endpoint(*parse_host_port(text))) == text);
  }
  CHECK_FALSE(numeric_endpoint(*parse_host_port("host.example:1")));
  CHECK(to_text(*numeric_endpoint(*parse_host_port("[::ffff:10.0.0.7]:7401"))) == "10.0.0.7:7401");
  CHECK(to_text({asio::ip::make_address("::ffff:10.0.0.7"), 7401}) == "10.0.0.7:7401");
}

TEST_CASE("address: failures name the thing, the cause and the next step") {
  CHECK(dial_failure_text("h:1", asio::error::connection_refused) ==
        "cannot reach h:1: nothing listens there; start rse-node on that machine or correct the address");
  CHECK(listen_failure_text("0.0.0.0:7400", asio::error::address_in_use) ==
        "cannot listen on 0.0.0.0:7400: another process uses this port; stop it (`ss -ltnp` shows which) or choose another "
        "port");
  const std::error_code unavailable(EADDRNOTAVAIL, asio::error::get_system_category());
  CHECK(listen_failure_text("10.9.9.9:7400", unavailable) ==
        "cannot listen on 10.9.9.9:7400: no network interface of this machine has this address; use one that `ip address` shows, or :PORT for all");
  CHECK(dial_failure_text("[2001:db8::1]:7400", unavailable).find("this machine has no address of its kind") != std::string::npos);
}
