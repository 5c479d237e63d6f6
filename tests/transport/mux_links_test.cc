// Two nodes that are linked over UDP and over TCP at once, as the mux sees them: what happens when the one in use dies without a word.
#include <doctest/doctest.h>

#include <asio/steady_timer.hpp>

#include "tests/transport/udp_node.h"
#include "transport/mux/mux_transport.h"

using namespace rse;
using testing::run_until;
using testing::TcpNode;
using testing::UdpRelay;

namespace {

constexpr std::chrono::milliseconds kHeartbeat{5};
/// UDP itself gives a link up after 1,500 ms; the machine may be busy.
constexpr std::chrono::milliseconds kSwitchMax{700};

/// A node with both transports, which says each 5 ms that it is there.
struct Node {
  Node(asio::io_context& loop, std::uint64_t id) : peer{3 - id}, timer(loop) {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello&) { ++ups; };
    callbacks.on_down = [this](NodeId, bool) { ++downs; };
    callbacks.on_message = [this](NodeId, std::span<const std::byte>) { last_heard = std::chrono::steady_clock::now(); };
    callbacks.on_failure = [](const std::string&, const std::string&) {};
    mux = std::make_unique<MuxTransport>(std::move(callbacks));
    const auto book = std::make_shared<TrustBook>(TcpNode::member_book());
    std::string failure = mux->add("udp", [&](TransportCallbacks own, std::string& error) -> std::unique_ptr<Transport> {
      auto made = make_udp_transport(loop, {.listen = {"udp:127.0.0.1:0"}, .trust = book}, std::move(own), error);
      if (made) udp_port = made->bound_ports().front();
      return made;
    });
    REQUIRE(failure.empty());
    failure = mux->add("", [&](TransportCallbacks own, std::string& error) -> std::unique_ptr<Transport> {
      TcpOptions options;
      options.listen = {"127.0.0.1:0"};
      options.trust = book;
      auto made = make_tcp_transport(loop, options, std::move(own), error);
      if (made) tcp_port = made->bound_ports().front();
      return made;
    });
    REQUIRE(failure.empty());
    Hello hello;
    hello.self.node = {id};
    hello.self.incarnation = 1;
    mux->set_hello(hello);
    beat();
  }
  ~Node() { timer.cancel(); }
  void beat() {
    const Bytes bytes(16);
    const SharedBytes lent{std::span<const std::byte>(bytes)};
    mux->send_at_once(peer, std::span(&lent, 1));
    timer.expires_after(kHeartbeat);
    timer.async_wait([this](const std::error_code& cancelled) {
      if (!cancelled) beat();
    });
  }
  /// "udp", "tcp", empty: none.
  std::string used() const {
    const auto all = mux->stats();
    return !all.empty() && all.front().connected ? all.front().transport : "";
  }
  std::size_t links() const {
    std::size_t count = 0;
    for (const LinkStats& link : mux->stats()) count += link.connected ? 1 : 0;
    return count;
  }
  /// By the link of that transport, as it says itself; nothing if it is down.
  std::optional<std::chrono::nanoseconds> silence(const std::string& transport) const {
    for (const LinkStats& link : mux->stats()) {
      if (link.transport == transport && link.connected) return std::chrono::nanoseconds(link.silence_nanoseconds);
    }
    return std::nullopt;
  }
  bool heard_within(std::chrono::milliseconds span) const { return std::chrono::steady_clock::now() - last_heard < span; }

  NodeId peer;
  asio::steady_timer timer;
  std::unique_ptr<MuxTransport> mux;
  std::uint16_t udp_port = 0, tcp_port = 0;
  std::chrono::steady_clock::time_point last_heard{};
  int ups = 0, downs = 0;
};

/// Linked both ways, UDP by a relay.
struct Pair {
  Pair() : a(loop, 1), b(loop, 2), relay(loop, b.udp_port, {}, 1) {
    a.mux->dial(relay.address());
    a.mux->dial("127.0.0.1:" + std::to_string(b.tcp_port));
    REQUIRE(run_until(loop, [&] { return a.links() == 2 && b.links() == 2 && both_use("udp"); }));
  }
  bool both_use(const std::string& transport) const { return a.used() == transport && b.used() == transport; }
  bool both_hear() const { return a.heard_within(3 * kHeartbeat) && b.heard_within(3 * kHeartbeat); }

  asio::io_context loop;
  Node a, b;
  UdpRelay relay;
};

}  // namespace

TEST_CASE("mux: a link that dies without a word is left for the other one at once, and nobody above hears of it") {
  Pair pair;
  pair.relay.set({.cut = true});
  CHECK(run_until(pair.loop, [&] { return pair.both_use("tcp") && pair.both_hear(); }, kSwitchMax));
  CHECK(pair.a.downs + pair.b.downs == 0);
  pair.relay.set({});
  CHECK(run_until(pair.loop, [&] { return pair.both_use("udp") && pair.both_hear(); }));
  CHECK(pair.a.downs + pair.b.downs == 0);
  CHECK(pair.a.ups + pair.b.ups == 2);
}

TEST_CASE("mux: each link tells for how long it has heard nothing, and one that is cut falls silent while the other goes on") {
  Pair pair;
  constexpr std::chrono::milliseconds kLong{300}, kShort{100};
  const auto hears = [&](const std::string& transport) {
    const auto silence = pair.a.silence(transport);
    return silence && *silence < kShort;
  };
  CHECK(run_until(pair.loop, [&] { return hears("udp"); }));
  pair.relay.set({.cut = true});
  CHECK(run_until(pair.loop, [&] { return pair.a.silence("udp") >= kLong && hears("tcp"); }));
  pair.relay.set({});
  CHECK(run_until(pair.loop, [&] { return pair.both_use("udp") && hears("udp"); }));
}

TEST_CASE("mux: a link that works in one direction only is left by both ends") {
  for (const std::size_t dead : {0u, 1u}) {
    CAPTURE(dead);
    Pair pair;
    pair.relay.spoil = [dead](std::size_t from, Bytes& packet) {
      if (from == dead) packet.assign(1, std::byte{0});
    };
    CHECK(run_until(pair.loop, [&] { return pair.both_use("tcp") && pair.both_hear(); }, kSwitchMax));
    CHECK(pair.a.downs + pair.b.downs == 0);
  }
}

TEST_CASE("mux: a link that is there and silent is shown as such, and the spare one is measured meanwhile") {
  Pair pair;
  REQUIRE(run_until(pair.loop, [&] { return pair.a.mux->stats()[1].rtt_nanoseconds > 0; }));
  CHECK(pair.a.mux->stats()[0].use == LinkUse::kInUse);
  CHECK(pair.a.mux->stats()[1].use == LinkUse::kSpare);
  pair.relay.set({.cut = true});
  CHECK(run_until(pair.loop, [&] {
    const auto all = pair.a.mux->stats();
    return all[0].transport == "tcp" && all[1].transport == "udp" && all[1].connected && all[1].use == LinkUse::kSilent;
  }, kSwitchMax));
}
