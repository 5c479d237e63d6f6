// Nodes behind NATs: they learn their public address from a real STUN server (coturn), and two of them, neither of which can be
// reached, open a link to each other at the same time.
#include <doctest/doctest.h>

#include <unistd.h>

#include <thread>

#include "tests/net/lan_node.h"
#include "tests/net/nat_network.h"
#include "transport/stun/stun_ask.h"

namespace rse {
namespace {

constexpr const char* kCoturn = "/usr/bin/turnserver";
using Host = NatNetwork::Host;

/// Says why there is nothing to tell.
bool possible() {
  const char* missing = nullptr;
  if (::geteuid() != 0) missing = "root";
  else if (::access(kCoturn, X_OK) != 0) missing = "coturn";
  else if (::access("/usr/sbin/nft", X_OK) != 0) missing = "nftables";
  if (missing != nullptr) MESSAGE("skipped: this test needs " << missing);
  return missing == nullptr;
}

/// A network with coturn on its server.
struct World {
  World() {
    REQUIRE_MESSAGE(network.failure().empty(), network.failure());
    REQUIRE(coturn
                .start({.words = {kCoturn, "-n", "--stun-only", "--no-tls", "--no-dtls", "--no-cli", "-L", NatNetwork::address(Host::kServer),
                                  "-p", "3478", "--log-file", "stdout", "--pidfile", folder.path("coturn.pid"), "--db",
                                  folder.path("coturn.db")},
                        .log = folder.path("coturn.log"),
                        .enter = [this] { return network.enter(Host::kServer); }})
                .empty());
  }
  /// As a node on that host would.
  std::string ask(Host host, std::uint16_t port, PublicAddress& found) const {
    std::string why = "cannot get there";
    std::thread([&] {
      if (!network.enter_thread(host)) return;
      why = ask_stun("udp:" + NatNetwork::address(host) + ":7400", NatNetwork::address(Host::kServer) + ":" + std::to_string(port),
                     std::chrono::milliseconds(port == 3478 ? 10'000 : 1'000), found);
    }).join();
    return why;
  }
  LanNode node(Host host, const std::string& name) const {
    return LanNode(folder, name, [this, host] { return network.enter(host); });
  }

  NatNetwork network;
  TemporaryFolder folder;
  Machine coturn;
};

TEST_CASE("nat: coturn tells a socket behind a NAT the NAT's address, and one before it its own; where no server is, that is said") {
  if (!possible()) return;
  World world;
  for (const Host host : {Host::kInside0, Host::kInside1, Host::kServer}) {
    CAPTURE(NatNetwork::address(host));
    PublicAddress found;
    const std::string why = world.ask(host, 3478, found);
    REQUIRE_MESSAGE(why.empty(), why << read_file(world.folder.path("coturn.log")));
    CHECK(found.mapped.address().to_string() == NatNetwork::public_address(host));
    CHECK(found.mapped.port() == 7400);
  }
  PublicAddress none;
  CHECK(world.ask(Host::kInside0, 3479, none).find("it does not answer; is it a STUN server") != std::string::npos);
}

TEST_CASE("nat: two nodes behind NATs, told of each other by a third, open a link at the same time; without STUN they need a relay") {
  if (!possible()) return;
  World world;
  LanNode a = world.node(Host::kInside0, "a"), b = world.node(Host::kInside1, "b"), c = world.node(Host::kServer, "c");
  c.start({"--found", "--listen", "udp:" + NatNetwork::address(Host::kServer) + ":7400"});
  const std::string ticket = c.ticket({"--uses", "2"});
  const auto listen_at = [](Host host) { return "udp:" + NatNetwork::address(host) + ":7400"; };
  a.start({"--listen", listen_at(Host::kInside0), "--stun", NatNetwork::address(Host::kServer)}, ticket);
  CHECK_MESSAGE(a.says("udp:203.0.113.11:7400"), read_file(a.log));
  b.start({"--listen", listen_at(Host::kInside1)}, ticket);
  CHECK_MESSAGE(a.says(kJoined), read_file(a.log));
  CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
  CHECK(a.shows("by way of c"));
  CHECK(b.machine.wait_for_end(std::chrono::milliseconds(0)) == -1);
  b.start({"--listen", listen_at(Host::kInside1), "--stun", NatNetwork::address(Host::kServer)});
  CHECK_MESSAGE(a.shows("udp:203.0.113.12:7400, "), a.rse({"status"}).output << read_file(b.log));
  CHECK_MESSAGE(b.shows("udp:203.0.113.11:7400, "), b.rse({"status"}).output << read_file(a.log));
}

TEST_CASE("nat: a node whose public address changes tells it to the others, one behind a NAT too, by way of the third; no new start") {
  if (!possible()) return;
  World world;
  LanNode a = world.node(Host::kInside0, "a"), b = world.node(Host::kInside1, "b"), c = world.node(Host::kServer, "c");
  c.start({"--found", "--listen", "udp:" + NatNetwork::address(Host::kServer) + ":7400"});
  const std::string ticket = c.ticket({"--uses", "2"});
  const auto start = [&](LanNode& node, Host host) {
    node.start({"--listen", "udp:" + NatNetwork::address(host) + ":7400", "--stun", NatNetwork::address(Host::kServer)}, ticket);
    CHECK_MESSAGE(node.says(kJoined), read_file(node.log));
  };
  start(a, Host::kInside0);
  start(b, Host::kInside1);
  CHECK_MESSAGE(b.shows("udp:203.0.113.11:7400, "), b.rse({"status"}).output << read_file(b.log));
  world.network.move_nat(Host::kInside0);
  REQUIRE_MESSAGE(world.network.failure().empty(), world.network.failure());
  CHECK_MESSAGE(a.says("public_address_changed"), read_file(a.log));
  CHECK_MESSAGE(b.says(" peer_addresses peer=a"), read_file(b.log));
  CHECK_MESSAGE(b.shows("udp:" + NatNetwork::moved_address(Host::kInside0) + ":7400, "), b.rse({"status"}).output << read_file(b.log));
  CHECK(a.shows("listens on udp:" + NatNetwork::moved_address(Host::kInside0)));
}

}  // namespace
}  // namespace rse
