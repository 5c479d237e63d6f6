// The UDP transport between real sockets: links, losses, strangers, deaths.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "tests/transport/udp_node.h"
#include "torus/base/random.h"
#include "transport/secure/channel.h"
#include "transport/udp/outer.h"
#include "transport/udp/udp_core.h"

using namespace rse;
using asio::ip::udp;
using testing::run_until;
using testing::TcpNode;
using testing::UdpNode;
using testing::UdpRelay;

namespace {

bool up(asio::io_context& loop, UdpNode& a, UdpNode& b) {
  return run_until(loop, [&] { return a.linked(b.hello.self.node.raw) && b.linked(a.hello.self.node.raw); });
}

Bytes numbered(std::uint64_t number, std::size_t size) {
  Bytes bytes(std::max(size, sizeof number));
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

/// Sends `count` small messages from a to b while the loop runs; true when each has come once and in order.
bool all_come(asio::io_context& loop, UdpNode& a, UdpNode& b, std::uint64_t count) {
  std::uint64_t sent = 0, arrived = 0;
  bool right = true;
  b.on_message = [&](std::span<const std::byte> message) {
    std::uint64_t number = 0;
    std::memcpy(&number, message.data(), sizeof number);
    right &= number == arrived++ && message.size() == 8 + number % 57;
  };
  const bool done = run_until(loop, [&] {
    while (sent < count && a.transport->has_room(b.hello.self.node)) {
      if (a.transport->send(b.hello.self.node, numbered(sent, 8 + sent % 57)) != SendResult::kQueued) break;
      ++sent;
    }
    return !right || arrived == count;
  }, std::chrono::seconds(240));
  b.on_message = nullptr;
  return done && right;
}

}  // namespace

TEST_CASE("udp: two nodes that dial each other, or one the other, have one link; messages of all sizes cross it") {
  for (int who = 0; who < 3; ++who) {
    for (const bool encrypted : {true, false}) {
      CAPTURE(who);
      CAPTURE(encrypted);
      asio::io_context loop;
      const Duration spin = who == 2 ? Duration{} : milliseconds(1);
      UdpNode a(loop, {.id = 1, .encrypted = encrypted, .spin = spin}), b(loop, {.id = 2, .encrypted = encrypted, .spin = spin});
      if (who != 0) a.transport->dial(b.address());
      if (who != 1) b.transport->dial(a.address());
      REQUIRE(up(loop, a, b));
      CHECK(a.stats_of(2).cipher.empty() != encrypted);
      CHECK(a.ups.front().key.is_none() == !encrypted);
      std::size_t expected = 0;
      for (const std::size_t size : {1u, 100u, 1200u, 4700u, 65'000u, 3'000'000u}) {
        REQUIRE(a.transport->send(b.hello.self.node, Bytes(size, std::byte{7})) == SendResult::kQueued);
        REQUIRE(b.transport->send(a.hello.self.node, Bytes(size, std::byte{9})) == SendResult::kQueued);
        ++expected;
        REQUIRE(run_until(loop, [&] { return a.messages.size() == expected && b.messages.size() == expected; }));
        CHECK(b.messages.back().second == Bytes(size, std::byte{7}));
        CHECK(a.messages.back().second == Bytes(size, std::byte{9}));
      }
      CHECK(a.ups.size() == 1);
      CHECK(b.ups.size() == 1);
      CHECK(a.downs.empty());
      CHECK(b.downs.empty());
    }
  }
}

TEST_CASE("udp: what is sent at once comes, and a message of no bytes or of too many is no message") {
  asio::io_context loop;
  UdpNode a(loop, {.id = 1}), b(loop, {.id = 2});
  a.transport->dial(b.address());
  REQUIRE(up(loop, a, b));
  const Bytes small(40, std::byte{3});
  const SharedBytes lent{std::span<const std::byte>(small)};
  REQUIRE(a.transport->send_at_once({2}, std::span(&lent, 1)) == SendResult::kQueued);
  REQUIRE(run_until(loop, [&] { return b.messages.size() == 1; }));
  CHECK(b.messages.front().second == small);
  CHECK(a.transport->send({2}, {}) == SendResult::kQueued);
  CHECK(a.transport->send({2}, Bytes((16u << 20) + 1)) == SendResult::kTooLarge);
  CHECK(a.transport->send({3}, small) == SendResult::kNoLink);
}

TEST_CASE("udp: under loss, doubles and reordering no message is lost, doubled or out of order") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    asio::io_context loop;
    UdpNode a(loop, {.id = 1}), b(loop, {.id = 2});
    UdpRelay relay(loop, b.port(),
                   {.loss_percent = 10, .duplicate_percent = 10, .delay = {200'000}, .jitter = {1'000'000}}, seed);
    a.transport->dial(relay.address());
    REQUIRE(up(loop, a, b));
    CHECK(all_come(loop, a, b, 20'000));
    CHECK(all_come(loop, b, a, 2'000));
    CHECK(relay.counts().lost > 0);
    CHECK(relay.counts().doubled > 0);
    CHECK(relay.counts().overtaken > 0);
    CHECK(a.downs.empty());
    CHECK(b.downs.empty());
  }
}

TEST_CASE("udp: the handshake gets through a network that loses every third packet") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    asio::io_context loop;
    UdpNode a(loop, {.id = 1}), b(loop, {.id = 2});
    UdpRelay relay(loop, b.port(), {.loss_percent = 33, .duplicate_percent = 20, .delay = {100'000}, .jitter = {500'000}}, seed);
    a.transport->dial(relay.address());
    CHECK(up(loop, a, b));
  }
}

TEST_CASE("udp: records that are changed, cut short or sent again do nothing") {
  for (int damage = 0; damage < 3; ++damage) {
    CAPTURE(damage);
    asio::io_context loop;
    UdpNode a(loop, {.id = 1}), b(loop, {.id = 2});
    UdpRelay relay(loop, b.port(), {.duplicate_percent = damage == 2 ? 100u : 0u}, 1);
    Random random(7);
    relay.spoil = [&](std::size_t, Bytes& packet) {
      if (packet[0] != static_cast<std::byte>(OuterType::kRecord) || random.below(4) != 0) return;
      if (damage == 0) packet[random.below(static_cast<std::uint32_t>(packet.size()))] ^= std::byte{1};
      if (damage == 1) packet.resize(random.below(static_cast<std::uint32_t>(packet.size())));
    };
    a.transport->dial(relay.address());
    REQUIRE(up(loop, a, b));
    CHECK(all_come(loop, a, b, 3'000));
    CHECK(a.downs.empty());
    CHECK(b.downs.empty());
  }
}

TEST_CASE("udp: before an address has proved itself it gets less than it sent, and nothing is kept for it") {
  asio::io_context loop;
  UdpNode node(loop, {.id = 1});
  udp::socket stranger(loop, {asio::ip::address_v4::loopback(), 0});
  stranger.non_blocking(true);
  const udp::endpoint target(asio::ip::address_v4::loopback(), node.port());
  const Bytes init = handshake_datagram({.type = OuterType::kInit, .from = 77});
  std::size_t sent = 0, received = 0;
  std::array<std::byte, 2048> buffer;
  for (int i = 0; i < 300; ++i) {
    stranger.send_to(asio::buffer(init), target);
    sent += init.size();
    loop.restart();
    loop.poll();
    std::error_code error;
    while (!error) {
      const std::size_t got = stranger.receive(asio::buffer(buffer), 0, error);
      if (error) break;
      received += got;
      const auto answer = read_handshake(std::span<const std::byte>(buffer).first(got));
      REQUIRE(answer);
      CHECK(answer->type == OuterType::kRetry);
    }
  }
  CHECK(received > 0);
  CHECK(received < sent / 20);
  CHECK(node.failures.empty());
  CHECK(node.ups.empty());
}

TEST_CASE("udp: hundreds of strangers who have proved their address and say no more displace each other, and a member still gets in") {
  asio::io_context loop;
  UdpNode node(loop, {.id = 1}), member(loop, {.id = 2});
  member.transport->dial(node.address());
  REQUIRE(up(loop, node, member));
  udp::socket stranger(loop, {asio::ip::address_v4::loopback(), 0});
  stranger.non_blocking(true);
  const udp::endpoint target(asio::ip::address_v4::loopback(), node.port());
  Bytes first;
  SecureChannel(NoiseRole::kInitiator, std::make_shared<TrustBook>(TcpNode::member_book()), "stranger").start(first);
  std::array<std::byte, 2048> buffer;
  std::size_t cookies = 0, accepts = 0;
  for (std::uint64_t session = 1; session <= 400; ++session) {
    std::error_code error;
    stranger.send_to(asio::buffer(handshake_datagram({.type = OuterType::kInit, .from = session})), target, 0, error);
    loop.restart();
    loop.poll();
    while (!error) {
      const std::size_t got = stranger.receive(asio::buffer(buffer), 0, error);
      const auto retry = error ? std::nullopt : read_handshake(std::span<const std::byte>(buffer).first(got));
      accepts += retry && retry->type == OuterType::kAccept ? 1 : 0;
      if (!retry || retry->type != OuterType::kRetry) continue;
      ++cookies;
      std::error_code ignored;
      stranger.send_to(asio::buffer(handshake_datagram({.type = OuterType::kInit, .from = retry->to, .cookie = retry->cookie, .message = first})),
                       target, 0, ignored);
    }
  }
  CHECK(cookies > 300);
  CHECK(node.failed_with("too many unfinished handshakes"));
  CHECK(accepts > kUdpHostHandshakesMax);  // more than are kept
  CHECK(node.failures.size() <= 2);
  CHECK(node.linked(2));
  CHECK(node.downs.empty());
  CHECK(member.downs.empty());
  UdpNode late(loop, {.id = 3});
  late.transport->dial(node.address());  // the same host, whose budget is used up: it takes its turn
  CHECK(up(loop, late, node));
}

TEST_CASE("udp: garbage never becomes a link, and disturbs none") {
  asio::io_context loop;
  UdpNode a(loop, {.id = 1, .handshake_limit = std::chrono::milliseconds(150)}), b(loop, {.id = 2});
  b.transport->dial(a.address());
  REQUIRE(up(loop, a, b));
  udp::socket stranger(loop, {asio::ip::address_v4::loopback(), 0});
  const udp::endpoint target(asio::ip::address_v4::loopback(), a.port());
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Random random(seed);
    Bytes bytes(seed % 3 == 0 ? kInitBytes : random.below(1500));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
    if (seed % 3 == 0) {
      const Bytes right = handshake_datagram({.type = OuterType::kInit, .from = seed});
      std::copy_n(right.begin(), 20, bytes.begin());
    } else if (!bytes.empty()) {
      bytes[0] = static_cast<std::byte>(0x70 + seed % 8);
    }
    std::error_code ignored;
    stranger.send_to(asio::buffer(bytes), target, 0, ignored);
    if (seed % 20 == 0) {
      loop.restart();
      loop.poll();
    }
  }
  CHECK(all_come(loop, a, b, 100));
  CHECK(a.ups.size() == 1);
  CHECK(a.downs.empty());
  CHECK(b.downs.empty());
}

TEST_CASE("udp: a stranger without a ticket is refused and told why, by the one it dials and by its own side") {
  asio::io_context loop;
  TrustBook pinned = TcpNode::member_book();
  UdpNode member(loop, {.id = 1, .book = pinned});
  TrustBook stranger(NodeKey::generate());
  stranger.cluster = {};
  stranger.trust.seed = random_secret().bytes;
  stranger.trust.admitted = {{{1}, pinned.key.shared()}};  // it knows the member, the member does not know it
  UdpNode other(loop, {.id = 2, .book = stranger});
  other.transport->dial(member.address());
  REQUIRE(run_until(loop, [&] { return other.failed_with("its key is not known to cluster"); }));
  CHECK(member.failed_with("its key is not known to cluster"));
  CHECK(member.ups.empty());
  CHECK(other.ups.empty());
}

TEST_CASE("udp: a node that shows another key than the one pinned to it is refused and told why, whoever decides on the link") {
  for (const std::uint64_t own : {1, 3}) {
    CAPTURE(own);
    asio::io_context loop;
    TrustBook pinned = TcpNode::member_book();
    pinned.trust.admitted.push_back({{2}, NodeKey::generate().shared()});
    UdpNode member(loop, {.id = own, .book = pinned}), other(loop, {.id = 2, .book = TcpNode::member_book()});
    other.transport->dial(member.address());
    REQUIRE(run_until(loop, [&] { return other.failed_with("another key than that node"); }));
    CHECK(member.failed_with("another key than that node"));
    CHECK(member.ups.empty());
    CHECK(other.ups.empty());
  }
}

TEST_CASE("udp: a key that is revoked while its link is up loses the link at once, and gets no new one") {
  asio::io_context loop;
  TrustBook one = TcpNode::member_book(), two = TcpNode::member_book();
  UdpNode a(loop, {.id = 1, .book = one}), b(loop, {.id = 2, .book = two});
  b.transport->dial(a.address());
  REQUIRE(up(loop, a, b));
  auto changed = std::make_shared<TrustBook>(one);
  changed->trust.revoked = {two.key.shared()};
  a.transport->set_trust(changed);
  REQUIRE(run_until(loop, [&] { return !a.downs.empty() && !b.downs.empty(); }));
  REQUIRE(run_until(loop, [&] { return b.failed_with("its key has been revoked"); }));
  CHECK_FALSE(a.linked(2));
  CHECK(a.ups.size() == 1);
}

TEST_CASE("udp: a node that does not encrypt and one that does tell each other apart") {
  for (const bool dialler_encrypts : {true, false}) {
    CAPTURE(dialler_encrypts);
    asio::io_context loop;
    UdpNode a(loop, {.id = 1, .encrypted = dialler_encrypts}), b(loop, {.id = 2, .encrypted = !dialler_encrypts});
    a.transport->dial(b.address());
    REQUIRE(run_until(loop, [&] { return a.failed_with("--insecure") && b.failed_with("--insecure"); }));
    CHECK(a.ups.empty());
    CHECK(b.ups.empty());
  }
}

TEST_CASE("udp: the end of a process is proved by its machine; a link that was closed in order is down, not proof") {
  asio::io_context loop;
  UdpNode a(loop, {.id = 1});
  const pid_t child = ::fork();
  if (child == 0) {
    asio::io_context own;
    UdpNode b(own, {.id = 2});
    b.transport->dial(a.address());
    run_until(own, [] { return false; }, std::chrono::seconds(60));
    ::_exit(0);
  }
  REQUIRE(run_until(loop, [&] { return a.linked(2); }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  REQUIRE(run_until(loop, [&] { return !a.downs.empty(); }));
  CHECK(a.downs.front().second);

  UdpNode c(loop, {.id = 3}), d(loop, {.id = 4});
  c.transport->dial(d.address());
  REQUIRE(up(loop, c, d));
  d.transport->disconnect({3});
  REQUIRE(run_until(loop, [&] { return !c.downs.empty() && !d.downs.empty(); }));
  CHECK_FALSE(c.downs.front().second);
  CHECK(up(loop, c, d));  // and it comes up again
  CHECK(c.ups.size() == 2);
}

TEST_CASE("udp: a link that goes silent is down, and comes up when the network is back; a later life replaces an earlier one") {
  asio::io_context loop;
  UdpNode a(loop, {.id = 1}), b(loop, {.id = 2});
  UdpRelay relay(loop, b.port(), {}, 1);
  a.transport->dial(relay.address());
  REQUIRE(up(loop, a, b));
  relay.set({.cut = true});
  REQUIRE(run_until(loop, [&] { return !a.downs.empty() && !b.downs.empty(); }));
  CHECK_FALSE(a.downs.front().second);
  relay.set({});
  REQUIRE(up(loop, a, b));
  UdpNode later(loop, {.id = 2, .incarnation = 2});
  later.transport->dial(a.address());
  REQUIRE(run_until(loop, [&] { return a.ups.size() == 3 && later.linked(1); }));
  CHECK(a.downs.back().second);
  CHECK(a.ups.back().self.incarnation == 2);
}

TEST_CASE("udp: an address that nobody listens on, one that is ourselves, and one that is none are told apart") {
  asio::io_context loop;
  UdpNode a(loop, {.id = 1});
  std::uint16_t free = 0;
  {
    udp::socket socket(loop, {asio::ip::address_v4::loopback(), 0});
    free = socket.local_endpoint().port();
  }
  a.transport->dial("udp:127.0.0.1:" + std::to_string(free));
  a.transport->dial("udp:here:");
  a.transport->dial(a.address());
  REQUIRE(run_until(loop, [&] { return a.failed_with("nothing listens there") && a.failed_with("HOST:PORT"); }));
  CHECK(a.ups.empty());
  std::string error;
  CHECK(make_udp_transport(loop, {.listen = {a.address()}}, {}, error) == nullptr);
  CHECK(error.find("another process uses this port") != std::string::npos);
}

TEST_CASE("udp: a queue that was full says when there is room") {
  asio::io_context loop;
  UdpNode a(loop, {.id = 1}), b(loop, {.id = 2});
  a.transport->dial(b.address());
  REQUIRE(up(loop, a, b));
  while (a.transport->has_room({2})) REQUIRE(a.transport->send({2}, Bytes(100'000)) == SendResult::kQueued);
  REQUIRE(run_until(loop, [&] { return a.rooms > 0; }));
  CHECK(a.transport->has_room({2}));
}
