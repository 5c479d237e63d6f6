// Nodes on one network that are given a ticket and no address that works: they find their cluster by its beacons, and only there
// where beacons may go.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

#include "tests/net/lan_node.h"
#include "tests/net/test_network.h"

namespace rse {
namespace {

bool networks_allowed() {
  static const std::string why = TestNetwork::unavailable();
  if (!why.empty()) MESSAGE("skipped: " << why);
  return why.empty();
}

/// A daemon on a host of the network.
struct Node : LanNode {
  Node(const TestNetwork& network, const TemporaryFolder& folder, std::size_t host, std::string name)
      : LanNode(folder, std::move(name), [&network, host] { return network.enter(host); }), host(host) {}
  std::string listen(int port = 7400) const { return fmt::format("{}:{}", TestNetwork::address(host), port); }
  std::size_t host;
};

TEST_CASE("discovery: a node with a ticket that names nobody finds its cluster, among those of others on the network") {
  if (!networks_allowed()) return;
  TestNetwork network(4, 1);
  TemporaryFolder folder;
  Node a(network, folder, 0, "a"), b(network, folder, 1, "b"), c(network, folder, 2, "c"), stranger(network, folder, 3, "stranger");
  a.start({"--found", "--listen", a.listen()});
  stranger.start({"--found", "--listen", stranger.listen()});
  const std::string ticket = a.ticket({"--uses", "2", "--without-addresses"});
  b.start({"--listen", "udp:" + b.listen(), "--listen", b.listen()}, ticket);
  CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
  a.machine.pause();  // b tells the next one, too
  c.start({"--listen", c.listen()}, ticket);
  CHECK_MESSAGE(c.says(" member_found "), read_file(c.log));
  a.machine.resume();
  CHECK_MESSAGE(c.says(kJoined), read_file(c.log));
  CHECK_FALSE(stranger.said("link_up"));
  CHECK_FALSE(b.said("address=beacon"));  // without IPv6, of which nobody hears
}

TEST_CASE("discovery: on a network with IPv6 alone, and on one with both, a node finds its cluster by the same beacons") {
  if (!networks_allowed()) return;
  for (const TestNetwork::Family family : {TestNetwork::Family::kIpv6, TestNetwork::Family::kBoth}) {
    CAPTURE(static_cast<int>(family));
    TestNetwork network(3, 1, family);
    REQUIRE_MESSAGE(network.failure().empty(), network.failure());
    TemporaryFolder folder;
    Node a(network, folder, 0, "a"), b(network, folder, 1, "b"), stranger(network, folder, 2, "stranger");
    const auto listen = [](std::size_t host) { return fmt::format("[{}]:7400", TestNetwork::address_v6(host)); };
    a.start({"--found", "--listen", listen(0)});
    stranger.start({"--found", "--listen", listen(2)});
    const std::string ticket = a.ticket({"--without-addresses"});
    b.start({"--listen", listen(1), "--listen", "udp:" + listen(1)}, ticket);
    CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
    CHECK(b.said(" member_found "));
    CHECK_FALSE(b.said("address=beacon"));
    CHECK_FALSE(stranger.said("link_up"));
  }
}

TEST_CASE("discovery: doctor finds who would take a ticket that names nobody, as a newcomer would, and says so where nobody is") {
  if (!networks_allowed()) return;
  TestNetwork network(2, 1, TestNetwork::Family::kBoth);
  REQUIRE_MESSAGE(network.failure().empty(), network.failure());
  TemporaryFolder folder;
  Node a(network, folder, 0, "a");
  a.start({"--found", "--listen", a.listen()});
  const std::string ticket = a.ticket({"--without-addresses"});
  const std::string log = folder.path("doctor.log");
  const auto doctor = [&] {
    Machine program;
    REQUIRE(program.start({.words = {find_binary("rse"), "doctor", "--ticket", ticket}, .log = log, .enter = [&] { return network.enter(1); }}).empty());
    return program.wait_for_end(kLanLimit);
  };
  CHECK(doctor() == 0);
  CHECK_MESSAGE(read_file(log).find("answers and takes the ticket") != std::string::npos, read_file(log));
  network.set_multicast({.v4 = false, .v6 = false});
  std::filesystem::remove(log);
  CHECK(doctor() == 1);
  CHECK_MESSAGE(read_file(log).find("no member that can be dialled was heard on this machine's networks") != std::string::npos, read_file(log));
}

TEST_CASE("discovery: a network that loses one family's beacons, as those that filter multicast do, has the other's") {
  if (!networks_allowed()) return;
  for (const bool v6 : {false, true}) {
    CAPTURE(v6);
    TestNetwork network(2, 1, TestNetwork::Family::kBoth);
    REQUIRE_MESSAGE(network.failure().empty(), network.failure());
    network.set_multicast({.v4 = !v6, .v6 = v6});
    TemporaryFolder folder;
    Node a(network, folder, 0, "a"), b(network, folder, 1, "b");
    a.start({"--found", "--listen", a.listen()});
    b.start({"--listen", b.listen()}, a.ticket({"--without-addresses"}));
    CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
  }
}

TEST_CASE("discovery: a ticket whose addresses do not work any more is as good as one that names nobody") {
  if (!networks_allowed()) return;
  TestNetwork network(2, 1);
  TemporaryFolder folder;
  Node a(network, folder, 0, "a"), b(network, folder, 1, "b");
  a.start({"--found", "--listen", a.listen()});
  const std::string ticket = a.ticket();
  a.machine.ask_to_end();
  CHECK(a.machine.wait_for_end(kLanLimit) == 0);
  a.start({"--listen", a.listen(7555)});
  b.start({"--listen", b.listen()}, ticket);
  CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
  CHECK(b.said("nothing listens there"));
}

TEST_CASE("discovery: a node on loopback is silent on the network and is found on loopback; --no-beacon is silent everywhere") {
  if (!networks_allowed()) return;
  TestNetwork network(2, 1);
  TemporaryFolder folder;
  Node a(network, folder, 0, "a"), near(network, folder, 0, "near"), far(network, folder, 1, "far"), quiet(network, folder, 1, "quiet");
  a.start({"--found", "--listen", "127.0.0.1:7400"});
  const std::string ticket = a.ticket({"--uses", "2", "--without-addresses"});
  far.start({"--listen", far.listen()}, ticket);
  near.start({"--listen", "127.0.0.1:7500"}, ticket);
  CHECK_MESSAGE(near.says(kJoined), read_file(near.log));
  CHECK_FALSE(far.said(" member_found "));
  CHECK(network.counts().accepted == 0);
  far.machine.kill();

  quiet.start({"--found", "--no-beacon", "--listen", quiet.listen()});
  Node seeker(network, folder, 0, "seeker");
  seeker.start({"--listen", seeker.listen(), "--no-beacon"}, quiet.ticket({"--without-addresses"}));
  CHECK_MESSAGE(seeker.says("holds no cluster yet"), read_file(seeker.log));
  CHECK(seeker.machine.wait_for_end(kLanLimit) == 2);
  CHECK(network.counts().accepted == 0);
}

TEST_CASE("discovery: a ticket that is over ends the node that found its cluster with it, and says why") {
  if (!networks_allowed()) return;
  TestNetwork network(2, 1);
  TemporaryFolder folder;
  Node a(network, folder, 0, "a"), b(network, folder, 1, "b");
  a.start({"--found", "--listen", a.listen()});
  const std::string ticket = a.ticket({"--without-addresses"});
  std::smatch id;
  const std::string list = a.rse({"ticket", "list"}).output;
  REQUIRE(std::regex_search(list, id, std::regex("[0-9a-f]{16}")));
  CHECK(a.rse({"ticket", "revoke", id.str()}).exit_code == 0);
  b.start({"--listen", b.listen()}, ticket);
  CHECK_MESSAGE(b.says("it has been revoked"), read_file(b.log));
  CHECK(b.machine.wait_for_end(kLanLimit) == 1);
}

}  // namespace
}  // namespace rse
