// The machine as a host on a network; each case in a guest of its own (guest_kernel/test/network_test.cc).
#include "guest_kernel/net/network.h"

#include <cstring>
#include <string_view>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/runtime/print.h"
#include "guest_kernel/test/test.h"

namespace rse::kernel {
namespace {

constexpr Duration kLimit = milliseconds(40'000);

Network& started(const Network::Options& options) {
  static Network network;
  const char* const wrong = network.start(options);
  if (wrong != nullptr) print_line("network: ", wrong);
  REQUIRE(wrong == nullptr);
  return network;
}

/// Until an interrupt: a frame's, or that of the stack's next deadline, which is a second away.
void sleep_until_needed(const Network& network) {
  disable_interrupts();
  if (!network.has_frame()) {
    set_alarm(network.next_deadline());
    enable_interrupts_and_halt();
  }
  enable_interrupts();
}

template <class Done>
void run_until(Network& network, Done done) {
  for (const Instant end = now() + kLimit; !done();) {
    REQUIRE(now() < end);
    if (!network.turn()) sleep_until_needed(network);
  }
}

}  // namespace

TEST_CASE("device-echo: datagrams come and go, until one says that it was the last") {
  Network& network = started({.own = parse_ipv4("10.0.2.15"), .prefix_bits = 24, .gateway = parse_ipv4("10.0.2.2")});
  bool last = false;
  std::size_t count = 0;
  const auto echo = [&](Ipv4 from, std::uint16_t port, std::span<const std::byte> datagram) {
    ++count;
    CHECK(network.send(from, port, datagram));
    last = datagram.size() == 4 && std::memcmp(datagram.data(), "last", 4) == 0;
  };
  REQUIRE(network.listen(7, echo) == 7);
  run_until(network, [&] { return last; });
  CHECK_FALSE(network.send(*network.own(), 7, std::vector<std::byte>(1501)));
  print_line("network: echoed=", count);
}

TEST_CASE("device-dhcp: a server gives the address") {
  Network& network = started({});
  CHECK_FALSE(network.own().has_value());
  run_until(network, [&] { return network.own().has_value(); });
  print_line("network: own=", std::string_view(to_text(*network.own())));
}

TEST_CASE("network: an address is four numbers up to 255 and nothing else") {
  CHECK(parse_ipv4("10.0.2.255") == Ipv4{{10, 0, 2, 255}});
  for (const char* text : {"", "10.0.2", "10.0.2.256", "10.0.2.1.", "10.0.2.1.1", "10..2.1", "a.b.c.d", "10.0.2.0001", "1.2.3.4 "}) {
    CHECK_FALSE(parse_ipv4(text).has_value());
  }
  CHECK(to_text({{10, 0, 2, 15}}) == "10.0.2.15");
}

}  // namespace rse::kernel
