// A guest of our kernel behind QEMU's user network, where nobody can dial it: it has to hear where a node is that has moved.
#include <doctest/doctest.h>

#include <random>

#include "guest_kernel/test/guest.h"
#include "tests/net/lan_node.h"
#include "tests/net/test_network.h"

namespace rse {
namespace {

constexpr std::size_t kGuestHost = 2;
constexpr std::chrono::seconds kGuestLimit{90};  // emulated, beside other work

std::string random_bytes(std::size_t size) {
  std::random_device random;
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::size_t count_of(const std::string& words, const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(words, at)) != std::string::npos; at += words.size()) ++count;
  return count;
}

TEST_CASE("addresses: a guest that nobody can dial finds a node at its new address, told by another one") {
  if (const std::string why = TestNetwork::unavailable(); !why.empty()) {
    MESSAGE("skipped: " << why);
    return;
  }
  TestNetwork network(3, 1);
  REQUIRE_MESSAGE(network.failure().empty(), network.failure());
  TemporaryFolder folder;
  LanNode a(folder, "a", [&] { return network.enter(0); }), b(folder, "b", [&] { return network.enter(1); });
  // An emulated processor is away now and then (guest_kernel/node/node.cc).
  std::vector<std::string> flags{"--listen", "udp::7400", "--heartbeat-ms", "20", "--early-silence-ms", "60", "--silence-floor-ms", "200",
                                 "--silence-ceiling-ms", "1000"};
  b.start(flags, [&] {
    a.found(flags);
    return a.ticket({"--uses", "2"});
  }());
  CHECK_MESSAGE(b.says(kJoined), read_file(b.log));

  std::vector<std::string> devices{"-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n"};
  const auto give = [&](const std::string& name, const std::string& secret) {
    write_file(folder.path(name), secret);
    devices.insert(devices.end(), {"-fw_cfg", "name=opt/rse/" + name + ",file=" + folder.path(name)});
  };
  give("entropy", random_bytes(32));
  give("ticket", a.ticket());
  Machine guest;
  const std::string log = folder.path("guest.log");
  const std::vector<std::string> words = guest_words(
      {.image = find_runfile("guest_kernel/kernel"), .command_line = "node=guest id=1f net=on", .memory_megabytes = 1536, .devices = devices});
  REQUIRE(guest.start({.words = words, .log = log, .enter = [&] { return network.enter(kGuestHost); }}).empty());
  for (const LanNode* node : {&a, &b}) REQUIRE_MESSAGE(node->says(" link_up peer=guest", kGuestLimit), read_file(log));

  REQUIRE(network.replace_addresses(0));
  CHECK_MESSAGE(wait_until([&] { return count_of("link_up peer=a", read_file(log)) == 2; }, kGuestLimit), read_file(a.log) << read_file(log));
  CHECK_MESSAGE(read_file(log).find("peer_addresses ") != std::string::npos, read_file(log));
  CHECK(wait_until([&] { return std::regex_search(a.rse({"status"}).output, std::regex("\nguest +member[^\n]* udp:")); }));
}

}  // namespace
}  // namespace rse
