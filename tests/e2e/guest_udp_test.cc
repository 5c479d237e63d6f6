// A guest of our kernel and two daemons, linked over UDP alone: the guest has a virtual network card and QEMU's user network, as a
// machine behind a router has.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <regex>

#include "guest_kernel/test/guest.h"
#include "tests/e2e/process.h"
#include "tests/e2e/stories.h"

namespace rse {
namespace {

std::string random_bytes(std::size_t size) {
  std::random_device random;
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::string new_ticket(const LocalCluster& cluster, std::size_t member) {
  const Finished made = run_program({find_binary("rse"), "ticket", "create", "--control", cluster.control(member)});
  std::smatch found;
  const bool has = std::regex_search(made.output, found, std::regex("rse1_[A-Za-z0-9_-]+"));
  CHECK_MESSAGE(has, made.output);
  return has ? found.str() : "";
}

/// The host, as guests of QEMU's user network see it.
std::string from_guest(const std::string& address) { return "10.0.2.2" + address.substr(address.rfind(':')); }

/// A network card, and secrets by files of the firmware, which are not on the command line.
class NetworkGuest {
 public:
  /// `daemons`: how many there are, before the guest.
  NetworkGuest(const LocalCluster& cluster, std::size_t daemons) : cluster_(cluster), daemons_(daemons) {}

  std::vector<std::string> words() const {
    std::string line = fmt::format("node=guest id={:012x} net=on advertise=127.0.0.1:{}", std::random_device{}() | 1u, port_);
    for (std::size_t i = 0; i < daemons_; ++i) line += " peer=" + from_guest(cluster_.address(i));
    std::vector<std::string> devices{"-netdev", fmt::format("user,id=n,hostfwd=udp:127.0.0.1:{}-:7400", port_),
                                     "-device", "virtio-net-pci,netdev=n"};
    const auto give = [&](const std::string& name, const std::string& secret) {
      write_file(folder_.path(name), secret);
      devices.insert(devices.end(), {"-fw_cfg", "name=opt/rse/" + name + ",file=" + folder_.path(name)});
    };
    give("entropy", random_bytes(32));
    give("key", random_bytes(32));
    std::size_t member = 0;
    while (member + 1 < daemons_ && run_program({find_binary("rse"), "status", "--control", cluster_.control(member)}).exit_code == 3) ++member;
    give("ticket", new_ticket(cluster_, member));
    return guest_words({.image = find_runfile("guest_kernel/kernel"), .command_line = line, .memory_megabytes = 1536, .devices = devices});
  }

 private:
  const LocalCluster& cluster_;
  const std::size_t daemons_;
  const TemporaryFolder folder_;
  const std::uint16_t port_ = free_port();
};

bool guest_is_linked_over_encrypted_udp(const v1::StatusReply& status) {
  for (const v1::ViewMember& member : status.view().members()) {
    if (member.name() != "guest") continue;
    for (const v1::LinkStatus& link : status.links()) {
      if (link.peer() == member.node() && link.connected()) return link.transport().starts_with("udp") && link.cipher() == "ChaCha20-Poly1305";
    }
  }
  return false;
}

TEST_CASE("a guest joins two daemons over UDP by ticket; it is killed, then a daemon: each is rebuilt, and the result is identical") {
  LocalCluster* made = nullptr;
  std::optional<NetworkGuest> guest;
  const auto words = [&](bool) {
    if (!guest) guest.emplace(*made, 2);
    return guest->words();
  };
  LocalCluster cluster({.nodes = {{.name = "b"}, {.name = "c"}, {.name = "guest", .guest = words}},
                        // An emulated processor is away now and then (guest_kernel/node/node.cc).
                        .flags = {"--heartbeat-ms", "20", "--early-silence-ms", "60", "--silence-floor-ms", "200", "--silence-ceiling-ms", "1000"},
                        .transport = "udp"});
  made = &cluster;
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), (failure + log_tails(cluster)));
  CHECK_MESSAGE(cluster.wait_for(guest_is_linked_over_encrypted_udp, kStoryLimit), log_tails(cluster));
  CountingClient client(cluster.controls(), 3);
  for (const std::size_t killed : {2u, 0u}) {
    CAPTURE(cluster.name(killed));
    REQUIRE_MESSAGE(run_on(cluster, 40), log_tails(cluster));
    cluster.kill(killed);
    REQUIRE_MESSAGE(wait_rebuilt(cluster), log_tails(cluster));
    REQUIRE_MESSAGE(run_on(cluster, 20), log_tails(cluster));
    const std::string restarted = cluster.restart(killed);
    REQUIRE_MESSAGE(restarted.empty(), restarted);
    REQUIRE_MESSAGE(cluster.wait_for(healthy_on_three, kStoryLimit), log_tails(cluster));
  }
  REQUIRE_MESSAGE(run_on(cluster, 20), log_tails(cluster));
  client.stop();
  CHECK_MESSAGE(client.failure().empty(), client.failure());
  CHECK(client.accepted() > 0);
  const std::string sentence = verdict(cluster);
  CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence);
}

TEST_CASE("a guest with a ticket that is no good says so and ends; so does one without") {
  LocalCluster cluster({.nodes = {{.name = "b"}}, .transport = "udp"});
  REQUIRE(cluster.start() == "");
  const TemporaryFolder folder;
  write_file(folder.path("entropy"), random_bytes(32));
  const std::string ticket = new_ticket(cluster, 0);
  const auto run = [&](const std::string& text) {
    write_file(folder.path("ticket"), text);
    std::vector<std::string> devices{"-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n", "-fw_cfg",
                                     "name=opt/rse/entropy,file=" + folder.path("entropy")};
    if (!text.empty()) devices.insert(devices.end(), {"-fw_cfg", "name=opt/rse/ticket,file=" + folder.path("ticket")});
    return run_guest({.image = find_runfile("guest_kernel/kernel"),
                      .command_line = "node=guest id=1 net=on peer=" + from_guest(cluster.address(0)),
                      .devices = devices});
  };
  const auto refused = [&](const std::string& text, const std::string& why) {
    const GuestRun done = run(text);
    CHECK_MESSAGE(done.exit_code == kGuestFailed, done.serial);
    CHECK_MESSAGE(done.serial.find(why) != std::string::npos, done.serial);
  };
  refused("", "joining takes a ticket");
  refused(ticket.substr(0, ticket.size() - 1), "this ticket is damaged");
  const Finished revoked = run_program({find_binary("rse"), "ticket", "list", "--control", cluster.control(0)});
  std::smatch id;
  REQUIRE_MESSAGE(std::regex_search(revoked.output, id, std::regex("[0-9a-f]{16}")), revoked.output);
  const Finished gone = run_program({find_binary("rse"), "ticket", "revoke", id.str(), "--control", cluster.control(0)});
  REQUIRE_MESSAGE(gone.exit_code == 0, gone.output);
  refused(ticket, "it has been revoked");
}

}  // namespace
}  // namespace rse
