// Three daemons, each on a host of its own with an address of its own, over links that lose, delay, reorder, go silent or go
// down: work goes on, nothing acknowledged is lost, and nobody can tell from the result. Each story over TCP and over UDP.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>

#include "tests/e2e/stories.h"
#include "tests/net/test_network.h"

namespace rse {
namespace {

constexpr std::uint64_t kEpochs = 60;  // between the steps of a story

/// Says once why there is nothing to tell.
bool networks_allowed() {
  static const std::string why = TestNetwork::unavailable();
  if (!why.empty()) MESSAGE("skipped: " << why);
  return why.empty();
}

/// Whatever their links.
bool hosted_by_three(const v1::StatusReply& status) {
  v1::StatusReply healthy = status;
  healthy.set_health(v1::StatusReply::HEALTHY);
  return healthy_on_three(healthy) && std::all_of(status.tori().begin(), status.tori().end(), [](const auto& torus) { return torus.running(); });
}

/// A cluster that runs busy_scenario() under a client's injections, a host for each node.
struct Story {
  explicit Story(const std::string& transport, std::uint64_t seed = 1)
      : network(3, seed), cluster({.addresses = addresses(transport), .enter = [this](std::size_t node) { return network.enter(node); }}) {
    REQUIRE_MESSAGE(network.failure().empty(), network.failure());
  }

  void begin() {
    const std::string failure = start_busy(cluster);
    REQUIRE_MESSAGE(failure.empty(), failure);
    client.emplace(cluster.controls(), 11);
    go_on();
  }
  void go_on() { REQUIRE_MESSAGE(run_on(cluster, kEpochs), log_tails(cluster)); }
  std::uint64_t view() {
    std::uint64_t newest = 0;
    for (std::size_t node = 0; node < cluster.size(); ++node)
      if (const auto status = cluster.status_of(node)) newest = std::max<std::uint64_t>(newest, status->view().number());
    return newest;
  }
  template <class F>
  bool wait_at(std::size_t node, F wanted) {
    return cluster
        .wait_for([&](const v1::StatusReply& status) { return status.self().name() == cluster.name(node) && wanted(status); }, kStoryLimit)
        .has_value();
  }
  /// The relay over which `node` talks with `peer`, 0: none is needed.
  std::uint64_t relay(std::size_t node, std::size_t peer) {
    const auto status = cluster.status_of(node);
    if (!status) return 0;
    for (const v1::PeerStatus& row : status->peers())
      if (row.name() == cluster.name(peer)) return row.via();
    return 0;
  }
  /// The torus of `lone` runs elsewhere, and what `lone` knows of stands still.
  void replaced_and_stopped(std::size_t lone) {
    REQUIRE_MESSAGE(wait_rebuilt(cluster), log_tails(cluster));
    REQUIRE_MESSAGE(wait_at(lone, [](const v1::StatusReply& status) { return status.health() == v1::StatusReply::STOPPED; }),
                    log_tails(cluster));
    const auto before = cluster.status_of(lone);
    go_on();
    const auto after = cluster.status_of(lone);
    REQUIRE((before && after));
    CHECK(slowest_epoch(*after) == slowest_epoch(*before));
  }
  void whole_again() { REQUIRE_MESSAGE(cluster.wait_for(healthy_on_three, kStoryLimit), log_tails(cluster)); }
  /// Nothing that was acknowledged is lost, and the result is that of a run without faults.
  void end() {
    go_on();
    client->stop();
    CHECK_MESSAGE(client->failure().empty(), client->failure());
    CHECK(client->accepted() > 0);
    CHECK(counted(cluster, client->sum()) == client->sum());
    const std::string sentence = verdict(cluster);
    CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence << "\n" << log_tails(cluster));
  }

  static std::vector<std::string> addresses(const std::string& transport) {
    std::vector<std::string> all;
    for (std::size_t host = 0; host < 3; ++host)
      all.push_back(fmt::format("{}{}:7400", transport == "udp" ? "udp:" : "", TestNetwork::address(host)));
    return all;
  }

  TestNetwork network;
  LocalCluster cluster;
  std::optional<CountingClient> client;
};

/// Tells the same story over each transport.
template <class F>
void over_each_transport(F tell) {
  if (!networks_allowed()) return;
  for (const char* transport : {"tcp", "udp"}) {
    CAPTURE(transport);
    Story story(transport);
    tell(story);
  }
}

TEST_CASE("links: packets are lost, doubled, late and overtaken from the first on, and a node is killed: the result is identical") {
  over_each_transport([](Story& story) {
    story.network.set_all({.loss_percent = 2, .duplicate_percent = 2, .delay = milliseconds(1), .jitter = milliseconds(2)});
    story.begin();
    story.cluster.kill(1);
    REQUIRE_MESSAGE(wait_rebuilt(story.cluster), log_tails(story.cluster));
    story.go_on();
    const std::string restarted = story.cluster.restart(1);
    REQUIRE_MESSAGE(restarted.empty(), restarted);
    story.whole_again();
    story.end();
    const PacketRelay::Counts counts = story.network.counts();
    CHECK(counts.lost > 0);
    CHECK(counts.doubled > 0);
    CHECK(counts.overtaken > 0);
  });
}

TEST_CASE("links: a cable cut between any two nodes removes nobody; they talk through the third until it is whole") {
  over_each_transport([](Story& story) {
    story.begin();
    for (std::size_t a = 0; a < 3; ++a) {
      const std::size_t b = (a + 1) % 3;
      CAPTURE(a);
      const std::uint64_t before = story.view();
      story.network.cut(a, b);
      story.go_on();
      REQUIRE_MESSAGE(story.wait_at(a, [&](const v1::StatusReply&) { return story.relay(a, b) != 0; }), log_tails(story.cluster));
      story.go_on();
      CHECK(story.view() == before);
      story.network.heal(a, b);
      REQUIRE_MESSAGE(story.wait_at(a, [&](const v1::StatusReply&) { return story.relay(a, b) == 0 && story.relay(b, a) == 0; }),
                      log_tails(story.cluster));
      story.whole_again();
    }
    story.end();
  });
}

TEST_CASE("links: what one node sends to another is lost, the other way works: nobody is removed") {
  over_each_transport([](Story& story) {
    story.begin();
    for (std::size_t from = 0; from < 3; ++from) {
      const std::size_t to = (from + 2) % 3;
      CAPTURE(from);
      const std::uint64_t before = story.view();
      story.network.set_one_way(from, to, {.cut = true});
      story.go_on();
      REQUIRE_MESSAGE(story.wait_at(from, [&](const v1::StatusReply&) { return story.relay(from, to) != 0; }), log_tails(story.cluster));
      story.go_on();
      CHECK(story.view() == before);
      story.network.set_one_way(from, to, {});
      story.whole_again();
    }
    story.end();
  });
}

TEST_CASE("links: each node in turn is cut off from both others: it stops, its torus goes on elsewhere, it comes back and catches up") {
  over_each_transport([](Story& story) {
    story.begin();
    for (std::size_t lone = 0; lone < 3; ++lone) {
      CAPTURE(lone);
      story.network.cut_off(lone);
      story.replaced_and_stopped(lone);
      story.network.join_up(lone);
      story.whole_again();
      story.go_on();
    }
    story.end();
  });
}

TEST_CASE("links: a node whose interface goes down, as its own kernel knows, stops too, and comes back with it") {
  over_each_transport([](Story& story) {
    story.begin();
    REQUIRE(story.network.set_interface(2, false));
    story.replaced_and_stopped(2);
    REQUIRE(story.network.set_interface(2, true));
    story.whole_again();
    story.end();
  });
}

TEST_CASE("links: a node dies while another link is cut: with its relay gone a pair stops, and goes on when the cable is whole") {
  over_each_transport([](Story& story) {
    story.begin();
    story.network.cut(0, 1);
    story.go_on();
    story.cluster.kill(1);  // one end of the cut link: the others still hear each other
    REQUIRE_MESSAGE(wait_rebuilt(story.cluster), log_tails(story.cluster));
    story.go_on();
    std::string restarted = story.cluster.restart(1);
    REQUIRE_MESSAGE(restarted.empty(), restarted);
    REQUIRE_MESSAGE(story.cluster.wait_for(hosted_by_three, kStoryLimit), log_tails(story.cluster));
    const auto warned = [](const v1::StatusReply& status) { return status.verdict().find("reach each other only by way of c") != std::string::npos; };
    REQUIRE_MESSAGE(story.cluster.wait_for(warned, kStoryLimit), log_tails(story.cluster));
    story.go_on();
    story.cluster.kill(2);  // the relay: neither of the others can tell whether it is the only one left
    for (const std::size_t left : {0, 1})
      REQUIRE_MESSAGE(story.wait_at(left, [](const v1::StatusReply& status) { return status.health() == v1::StatusReply::STOPPED; }),
                      log_tails(story.cluster));
    story.network.heal(0, 1);
    REQUIRE_MESSAGE(wait_rebuilt(story.cluster), log_tails(story.cluster));
    story.go_on();
    restarted = story.cluster.restart(2);
    REQUIRE_MESSAGE(restarted.empty(), restarted);
    story.whole_again();
    story.end();
  });
}

}  // namespace
}  // namespace rse
