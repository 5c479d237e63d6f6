// Nodes on one network that are given a ticket and no address that works: they find their cluster by its beacons, and only there
// where beacons may go.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <regex>

#include "node/client_local_cluster.h"
#include "node/client_machine.h"
#include "tests/e2e/process.h"
#include "tests/net/test_network.h"

namespace rse {
namespace {

constexpr std::chrono::seconds kLimit{30};
constexpr const char* kJoined = "this node is a member";

bool networks_allowed() {
  static const std::string why = TestNetwork::unavailable();
  if (!why.empty()) MESSAGE("skipped: " << why);
  return why.empty();
}

/// Polls until `done`.
template <class F>
bool wait_until(F done, std::chrono::milliseconds limit = kLimit) {
  for (const auto end = std::chrono::steady_clock::now() + limit; !done(); wait_a_little())
    if (std::chrono::steady_clock::now() > end) return false;
  return true;
}

/// A daemon on a host of the network, with a data directory.
struct LanNode {
  LanNode(const TestNetwork& network, const TemporaryFolder& folder, std::size_t host, std::string name)
      : network(network), host(host), name(std::move(name)), data(folder.path(this->name)), log(data + ".log"), control(data + ".sock") {}

  void start(std::vector<std::string> flags, const std::string& ticket = {}) {
    std::vector<std::string> words{find_binary("rse-node"), "--name", name, "--data-dir", data, "--control", control};
    words.insert(words.end(), flags.begin(), flags.end());
    Machine::Command command{.words = words, .log = log, .environment = {{"RSE_RUNTIME_DIR", data + ".run"}}};
    if (!ticket.empty()) command.environment.emplace_back("RSE_TICKET", ticket);
    command.enter = [this] { return network.enter(host); };
    REQUIRE(machine.start(command).empty());
  }
  bool said(const std::string& words) const { return read_file(log).find(words) != std::string::npos; }
  bool says(const std::string& words, std::chrono::milliseconds limit = kLimit) const {
    return wait_until([&] { return said(words); }, limit);
  }
  Finished rse(std::vector<std::string> words) const {
    words.insert(words.begin(), find_binary("rse"));
    words.insert(words.end(), {"--control", control});
    return run_program(words, kLimit);
  }
  std::string ticket(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"ticket", "create"};
    words.insert(words.end(), more.begin(), more.end());
    std::smatch found;
    std::string output;
    const bool made = wait_until([&] {
      output = rse(words).output;
      return std::regex_search(output, found, std::regex("rse1_[A-Za-z0-9_-]+"));
    });
    REQUIRE_MESSAGE(made, output);
    return found.str();
  }
  std::string listen(int port = 7400) const { return fmt::format("{}:{}", TestNetwork::address(host), port); }

  const TestNetwork& network;
  std::size_t host;
  std::string name, data, log, control;
  Machine machine;
};

TEST_CASE("discovery: a node with a ticket that names nobody finds its cluster, among those of others on the network") {
  if (!networks_allowed()) return;
  TestNetwork network(4, 1);
  TemporaryFolder folder;
  LanNode a(network, folder, 0, "a"), b(network, folder, 1, "b"), c(network, folder, 2, "c"), stranger(network, folder, 3, "stranger");
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
}

TEST_CASE("discovery: a ticket whose addresses do not work any more is as good as one that names nobody") {
  if (!networks_allowed()) return;
  TestNetwork network(2, 1);
  TemporaryFolder folder;
  LanNode a(network, folder, 0, "a"), b(network, folder, 1, "b");
  a.start({"--found", "--listen", a.listen()});
  const std::string ticket = a.ticket();
  a.machine.ask_to_end();
  CHECK(a.machine.wait_for_end(kLimit) == 0);
  a.start({"--listen", a.listen(7555)});
  b.start({"--listen", b.listen()}, ticket);
  CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
  CHECK(b.said("nothing listens there"));
}

TEST_CASE("discovery: a node on loopback is silent on the network and is found on loopback; --no-beacon is silent everywhere") {
  if (!networks_allowed()) return;
  TestNetwork network(2, 1);
  TemporaryFolder folder;
  LanNode a(network, folder, 0, "a"), near(network, folder, 0, "near"), far(network, folder, 1, "far"), quiet(network, folder, 1, "quiet");
  a.start({"--found", "--listen", "127.0.0.1:7400"});
  const std::string ticket = a.ticket({"--uses", "2", "--without-addresses"});
  far.start({"--listen", far.listen()}, ticket);
  near.start({"--listen", "127.0.0.1:7500"}, ticket);
  CHECK_MESSAGE(near.says(kJoined), read_file(near.log));
  CHECK_FALSE(far.said(" member_found "));
  CHECK(network.counts().accepted == 0);
  far.machine.kill();

  quiet.start({"--found", "--no-beacon", "--listen", quiet.listen()});
  LanNode seeker(network, folder, 0, "seeker");
  seeker.start({"--listen", seeker.listen(), "--no-beacon"}, quiet.ticket({"--without-addresses"}));
  CHECK_MESSAGE(seeker.says("holds no cluster yet"), read_file(seeker.log));
  CHECK(seeker.machine.wait_for_end(kLimit) == 2);
  CHECK(network.counts().accepted == 0);
}

TEST_CASE("discovery: a ticket that is over ends the node that found its cluster with it, and says why") {
  if (!networks_allowed()) return;
  TestNetwork network(2, 1);
  TemporaryFolder folder;
  LanNode a(network, folder, 0, "a"), b(network, folder, 1, "b");
  a.start({"--found", "--listen", a.listen()});
  const std::string ticket = a.ticket({"--without-addresses"});
  std::smatch id;
  const std::string list = a.rse({"ticket", "list"}).output;
  REQUIRE(std::regex_search(list, id, std::regex("[0-9a-f]{16}")));
  CHECK(a.rse({"ticket", "revoke", id.str()}).exit_code == 0);
  b.start({"--listen", b.listen()}, ticket);
  CHECK_MESSAGE(b.says("it has been revoked"), read_file(b.log));
  CHECK(b.machine.wait_for_end(kLimit) == 1);
}

}  // namespace
}  // namespace rse
