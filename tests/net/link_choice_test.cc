// Three daemons that are linked over UDP and TCP at once, on hosts of their own: work goes on over TCP when UDP dies without a
// word, and comes back to UDP.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>

#include "tests/e2e/stories.h"
#include "tests/net/test_network.h"

namespace rse {
namespace {

constexpr std::uint64_t kEpochs = 60;

std::vector<LocalCluster::Plan> plans() {
  std::vector<LocalCluster::Plan> all;
  for (std::size_t host = 0; host < 3; ++host) {
    const std::string address = TestNetwork::address(host) + ":7400";
    all.push_back({.name = std::string(1, static_cast<char>('a' + host)), .listen = {"udp:" + address, address}});
  }
  return all;
}

/// Every node sends to both others by `transport`.
bool all_use(LocalCluster& cluster, const std::string& transport) {
  for (std::size_t node = 0; node < cluster.size(); ++node) {
    const auto status = cluster.status_of(node);
    if (!status) return false;
    const auto used = std::count_if(status->links().begin(), status->links().end(), [&](const v1::LinkStatus& link) {
      return link.connected() && link.use() == v1::LinkStatus::IN_USE && link.transport() == transport;
    });
    if (used != 2) return false;
  }
  return true;
}

bool wait_for_use(LocalCluster& cluster, const std::string& transport) {
  return cluster.wait_for([&](const v1::StatusReply&) { return all_use(cluster, transport); }, kStoryLimit).has_value();
}

TEST_CASE("links: UDP dies between all nodes at once and TCP carries on; then it is back; the result is identical") {
  if (const std::string why = TestNetwork::unavailable(); !why.empty()) {
    MESSAGE("skipped: " << why);
    return;
  }
  TestNetwork network(3, 1);
  REQUIRE_MESSAGE(network.failure().empty(), network.failure());
  LocalCluster cluster({.nodes = plans(), .enter = [&](std::size_t node) { return network.enter(node); }});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  REQUIRE_MESSAGE(wait_for_use(cluster, "udp"), log_tails(cluster));
  for (int times = 0; times < 2; ++times) {
    network.set_udp(false);
    REQUIRE_MESSAGE(wait_for_use(cluster, "tcp"), log_tails(cluster));
    REQUIRE_MESSAGE(run_on(cluster, kEpochs), log_tails(cluster));
    network.set_udp(true);
    REQUIRE_MESSAGE(wait_for_use(cluster, "udp"), log_tails(cluster));
    REQUIRE_MESSAGE(run_on(cluster, kEpochs), log_tails(cluster));
  }
  const std::string sentence = verdict(cluster);
  CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence << "\n" << log_tails(cluster));
}

}  // namespace
}  // namespace rse
