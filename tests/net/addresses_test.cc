// By what addresses nodes find each other that were told none: both families, one, and others than before while they run.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>

#include "tests/net/lan_node.h"
#include "tests/net/test_network.h"

namespace rse {
namespace {

using Family = TestNetwork::Family;

/// For links after a change: silence alone would be noticed on TCP after 20 s.
constexpr std::chrono::seconds kLinkedAgain{10};

bool networks_allowed() {
  static const std::string why = TestNetwork::unavailable();
  if (!why.empty()) MESSAGE("skipped: " << why);
  return why.empty();
}

/// For the calling process and its children the kernel has no IPv6 from now on, as one that was built or booted without.
bool lose_v6() {
  const auto errno_of = [](unsigned error) { return SECCOMP_RET_ERRNO | error; };
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, errno_of(EAFNOSUPPORT)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct World {
  World(std::size_t hosts, Family family) : network(hosts, 1, family) { REQUIRE_MESSAGE(network.failure().empty(), network.failure()); }
  LanNode node(std::size_t host, std::string name) const {
    return LanNode(folder, std::move(name), [this, host] { return network.enter(host); });
  }
  TestNetwork network;
  TemporaryFolder folder;
};

/// `on` has a link to `to` by each of these transports.
bool shows_links(const LanNode& on, const std::string& to, const std::vector<std::string>& transports, std::chrono::milliseconds limit) {
  return wait_until([&] {
    const std::string output = on.rse({"status"}).output;
    return std::all_of(transports.begin(), transports.end(), [&](const std::string& transport) {
      return std::regex_search(output, std::regex("\n" + to + " +" + transport + " +(yes|spare) "));
    });
  }, limit);
}

/// `on` shows a link that works with the node `to` at one of these addresses.
bool shows_link(const LanNode& on, const std::string& to, const std::vector<std::string>& hosts, std::chrono::milliseconds limit = kLanLimit) {
  return wait_until([&] {
    const std::string output = on.rse({"status"}).output;
    std::smatch row;
    if (!std::regex_search(output, row, std::regex("\n" + to + " +member[^\n]*"))) return false;
    const std::string text = row.str();
    return std::any_of(hosts.begin(), hosts.end(), [&](const std::string& host) { return text.find(host + ":") != std::string::npos; });
  }, limit);
}

void check_quiet(const LanNode& node) {
  const std::string log = read_file(node.log);
  CHECK_MESSAGE(log.find("link_failure") == std::string::npos, log);
  CHECK_MESSAGE(log.find("::ffff:") == std::string::npos, log);
}

TEST_CASE("addresses: a node started with defaults is joined by one that has IPv6 alone and by one that has IPv4 alone, without noise") {
  if (!networks_allowed()) return;
  for (const bool udp : {false, true}) {
    CAPTURE(udp);
    const std::vector<std::string> flags = udp ? std::vector<std::string>{"--listen", "udp::7400"} : std::vector<std::string>{};
    World world(3, Family::kBoth);
    REQUIRE(world.network.keep_only(1, Family::kIpv6));
    REQUIRE(world.network.keep_only(2, Family::kIpv4));
    LanNode a = world.node(0, "a"), six = world.node(1, "six"), four = world.node(2, "four");
    a.found(flags);
    const std::string ticket = a.ticket({"--uses", "2"});
    six.start(flags, ticket);
    four.start(flags, ticket);
    CHECK_MESSAGE(six.says(kJoined), read_file(six.log));
    CHECK_MESSAGE(four.says(kJoined), read_file(four.log));
    CHECK_MESSAGE(shows_link(a, "six", {"[" + TestNetwork::address_v6(1) + "]"}), a.rse({"status"}).output);
    CHECK_MESSAGE(shows_link(a, "four", {TestNetwork::address(2)}), a.rse({"status"}).output);
    CHECK(a.rse({"status"}).output.find("::ffff:") == std::string::npos);
    CHECK(six.shows("by way of a"));  // of four, which it cannot reach and does not try to
    check_quiet(a);
    check_quiet(six);
    check_quiet(four);
  }
}

TEST_CASE("addresses: where IPv6 is turned off, or the kernel has none, a node starts with defaults on IPv4 and says nothing of it") {
  if (!networks_allowed()) return;
  for (const bool in_kernel : {true, false}) {
    CAPTURE(in_kernel);
    World world(2, Family::kIpv4);
    const auto enter = [&](std::size_t host) { return [&, host] { return world.network.enter(host) && (in_kernel || lose_v6()); }; };
    LanNode a(world.folder, "a", enter(0)), b(world.folder, "b", enter(1));
    a.start({"--found", "--listen", ":7400", "--listen", "udp::7400"});
    b.start({}, a.ticket());
    CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
    CHECK(a.shows("listens on " + TestNetwork::address(0) + ":7400"));
    check_quiet(a);
    check_quiet(b);
    for (const LanNode* node : {&a, &b}) CHECK_MESSAGE(read_file(node->log).find(" warn") == std::string::npos, read_file(node->log));
  }
}

TEST_CASE("addresses: 0.0.0.0 is IPv4 alone and [::] is IPv6 alone, for who dials too") {
  if (!networks_allowed()) return;
  World world(2, Family::kBoth);
  LanNode a = world.node(0, "a"), b = world.node(1, "b");
  a.start({"--found", "--listen", "0.0.0.0:7400", "--listen", "[::]:7500"});
  const std::string ticket = a.ticket();
  const auto answers = [&](const std::string& address) {
    Machine doctor;
    const std::string log = world.folder.path("doctor.log");
    REQUIRE(doctor.start({.words = {find_binary("rse"), "doctor", "tcp:" + address, "--ticket", ticket}, .log = log, .enter = b.enter}).empty());
    return doctor.wait_for_end(kLanLimit) == 0;
  };
  CHECK(answers(TestNetwork::address(0) + ":7400"));
  CHECK_FALSE(answers(TestNetwork::address(0) + ":7500"));
  CHECK(answers("[" + TestNetwork::address_v6(0) + "]:7500"));
  CHECK_FALSE(answers("[" + TestNetwork::address_v6(0) + "]:7400"));
  CHECK(answers("[::ffff:" + TestNetwork::address(0) + "]:7400"));
}

/// Three nodes that listen so; the third moves.
void check_move(Family family, const std::vector<std::string>& listen, const std::vector<std::string>& transports) {
  World world(3, family);
  LanNode a = world.node(0, "a"), b = world.node(1, "b"), c = world.node(2, "c");
  a.found(listen);
  const std::string ticket = a.ticket({"--uses", "2"});
  b.start(listen, ticket);
  c.start(listen, ticket);
  const std::vector<std::string> before{TestNetwork::address(2), "[" + TestNetwork::address_v6(2) + "]"};
  const std::vector<std::string> after{TestNetwork::moved_address(2), "[" + TestNetwork::moved_address_v6(2) + "]"};
  for (const LanNode* node : {&a, &b}) REQUIRE_MESSAGE(shows_link(*node, "c", before), node->rse({"status"}).output);
  REQUIRE(world.network.replace_addresses(2));
  for (const LanNode* node : {&a, &b}) {
    CHECK_MESSAGE(shows_link(*node, "c", after, kLinkedAgain), node->rse({"status"}).output << read_file(c.log));
    CHECK_MESSAGE(shows_links(*node, "c", transports, kLinkedAgain), node->rse({"status"}).output << read_file(node->log) << read_file(c.log));
    CHECK_MESSAGE(node->says(" peer_addresses "), read_file(node->log));
    CHECK(node->rse({"status", "--json"}).output.find(family == Family::kIpv6 ? after[1] : after[0]) != std::string::npos);
  }
  CHECK(c.shows("listens on "));
  CHECK(c.rse({"status"}).output.find("listens on " + before[family == Family::kIpv6]) == std::string::npos);
  const std::string log = read_file(c.log);  // it was told in one piece
  const std::size_t first = log.find(" addresses_changed ");
  CHECK(first != std::string::npos);
  CHECK_MESSAGE(log.find(" addresses_changed ", first + 1) == std::string::npos, log);
}

TEST_CASE("addresses: a node whose addresses are replaced while it runs is linked over the new ones, and nobody is started again") {
  if (!networks_allowed()) return;
  SUBCASE("TCP") { check_move(Family::kIpv4, {}, {"tcp"}); }
  SUBCASE("UDP") { check_move(Family::kIpv4, {"--listen", "udp::7400"}, {"udp"}); }
  SUBCASE("TCP over IPv6") { check_move(Family::kIpv6, {}, {"tcp"}); }
  SUBCASE("both transports, both families") { check_move(Family::kBoth, {"--listen", ":7400", "--listen", "udp::7400"}, {"tcp", "udp"}); }
}

TEST_CASE("addresses: a node that moves before it is let in is a member with the new address only") {
  if (!networks_allowed()) return;
  World world(2, Family::kIpv4);
  LanNode a = world.node(0, "a"), b = world.node(1, "b");
  a.start({"--found"});
  const std::string ticket = a.ticket();
  world.network.cut_off(1);
  b.start({}, ticket);
  CHECK(b.shows("listens on " + TestNetwork::address(1)));
  REQUIRE(world.network.replace_addresses(1));
  CHECK_MESSAGE(b.says(" addresses_changed "), read_file(b.log));
  world.network.join_up(1);
  CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
  CHECK_MESSAGE(shows_link(a, "b", {TestNetwork::moved_address(1)}), a.rse({"status"}).output);
  const std::string status = a.rse({"status", "--json"}).output;
  CHECK(status.find(TestNetwork::moved_address(1) + ":7400") != std::string::npos);
  CHECK_MESSAGE(status.find(TestNetwork::address(1) + ":7400") == std::string::npos, status);
}

TEST_CASE("addresses: a node that was started before its machine had a network says where it is as soon as it has one") {
  if (!networks_allowed()) return;
  World world(2, Family::kIpv4);
  REQUIRE(world.network.keep_only(0, Family::kIpv6));  // of which it has none
  LanNode a = world.node(0, "a"), b = world.node(1, "b");
  a.start({"--found"});
  CHECK(a.shows("listens on 127.0.0.1:7400"));
  REQUIRE(world.network.replace_addresses(0));
  CHECK(a.shows("listens on " + TestNetwork::moved_address(0) + ":7400"));
  b.start({"--no-beacon"}, a.ticket());
  CHECK_MESSAGE(b.says(kJoined), read_file(b.log));
}

}  // namespace
}  // namespace rse
