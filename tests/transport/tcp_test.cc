// Two and three TCP transports on loopback: links, reconnection, duplicates, back-pressure, and what people are told.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/transport/tcp_node.h"
#include "torus/base/random.h"
#include "torus/braid/messages.h"

using namespace rse;
using testing::run_until;
using testing::TcpNode;

namespace {

Bytes bytes_of(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
  return bytes;
}

/// Both are linked, and the larger one has said that it took the grant.
bool settled(const TcpNode& a, const TcpNode& b) {
  return a.linked(b.hello.self.node.raw) && b.linked(a.hello.self.node.raw);
}

}  // namespace

TEST_CASE("tcp: messages of every size arrive whole and in order, both ways, whether the ends look for them or sleep") {
  Duration spin{};
  SUBCASE("sleeping") {}
  SUBCASE("looking") { spin = milliseconds(1); }
  asio::io_context loop;
  TcpNode a(loop, {.id = 1, .spin = spin}), b(loop, {.id = 2, .spin = spin});
  a.transport->dial(b.address());
  REQUIRE(run_until(loop, [&] { return settled(a, b); }));
  std::size_t sent = 0;
  for (std::size_t size : {1ul, 2ul, 100ul, 65'531ul, 65'532ul, 65'533ul, 131'068ul, 1ul << 20, kMessageBytesMax, 7ul}) {
    CHECK(a.transport->send({2}, bytes_of(size, size)) == SendResult::kQueued);
    CHECK(b.transport->send({1}, bytes_of(size, size + 1)) == SendResult::kQueued);
    ++sent;
  }
  CHECK(a.transport->send({2}, Bytes(kMessageBytesMax + 1)) == SendResult::kTooLarge);
  CHECK(a.transport->send({3}, Bytes(1)) == SendResult::kNoLink);
  REQUIRE(run_until(loop, [&] { return a.messages.size() == sent && b.messages.size() == sent; }));
  for (std::size_t i = 0; i < sent; ++i) {
    CAPTURE(i);
    const auto& [from, bytes] = b.messages[i];
    CHECK(from == NodeId{1});
    CHECK(bytes == bytes_of(bytes.size(), bytes.size()));
    CHECK(a.messages[i].second == bytes_of(bytes.size(), bytes.size() + 1));
  }
  CHECK(a.stats_of(2).messages_sent == sent);
  CHECK(b.stats_of(1).messages_received == sent);
  CHECK(a.stats_of(2).queued_bytes == 0);
  CHECK(a.failures.empty());
}

TEST_CASE("tcp: when both dial, both keep the same connection and hear of one link") {
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    asio::io_context loop;
    TcpNode a(loop, {.id = 1}), b(loop, {.id = 2});
    a.transport->dial(b.address());
    b.transport->dial(a.address());
    if (round % 3 == 0) a.transport->dial("localhost:" + b.address().substr(10));  // another name for the same
    REQUIRE(run_until(loop, [&] { return settled(a, b); }));
    // Whatever else was under way comes to its end while these go to and fro.
    for (int i = 0; i < 20; ++i) {
      const std::size_t before_a = a.messages.size(), before_b = b.messages.size();
      REQUIRE(a.transport->send({2}, Bytes(10)) == SendResult::kQueued);
      REQUIRE(b.transport->send({1}, Bytes(10)) == SendResult::kQueued);
      REQUIRE(run_until(loop, [&] { return a.messages.size() > before_a && b.messages.size() > before_b; }));
    }
    CHECK(a.ups.size() == 1);
    CHECK(b.ups.size() == 1);
    CHECK(a.downs.empty());
    CHECK(b.downs.empty());
    CHECK(a.failures.empty());
    CHECK(b.failures.empty());
  }
}

TEST_CASE("tcp: a closed link comes back by itself, whoever closed it") {
  asio::io_context loop;
  TcpNode a(loop, {.id = 1}), b(loop, {.id = 2});
  a.transport->dial(b.address());
  REQUIRE(run_until(loop, [&] { return settled(a, b); }));
  for (std::size_t round = 1; round <= 20; ++round) {
    CAPTURE(round);
    if (round % 2 == 0) {
      a.transport->disconnect({2});
    } else {
      b.transport->disconnect({1});
    }
    REQUIRE(run_until(loop, [&] {
      return settled(a, b) && a.ups.size() == round + 1 && b.ups.size() == round + 1;
    }));
    const std::size_t before = b.messages.size();
    REQUIRE(a.transport->send({2}, Bytes(3)) == SendResult::kQueued);
    REQUIRE(run_until(loop, [&] { return b.messages.size() > before; }));
  }
  CHECK(a.downs.size() == 20);
  for (const auto& [peer, proof] : a.downs) CHECK_FALSE(proof);
  CHECK(a.stats_of(2).reconnects == 20);
}

TEST_CASE("tcp: a listener that comes late is found") {
  asio::io_context loop;
  std::string address;
  {
    TcpNode reserve(loop, {.id = 9});
    address = reserve.address();
  }
  TcpNode a(loop, {.id = 1});
  a.transport->dial(address);
  REQUIRE(run_until(loop, [&] { return a.failures.size() >= 3; }));
  CHECK(a.failed_with("nothing listens there"));
  TcpNode b(loop, {.id = 2, .listen = address});
  REQUIRE(b.error.empty());
  CHECK(run_until(loop, [&] { return settled(a, b); }));
}

TEST_CASE("tcp: a full queue refuses, keeps room for heartbeats, and delays nobody else") {
  asio::io_context slow_loop, loop;  // nobody runs the slow one's loop
  TcpNode a(loop, {.id = 1}), fast(loop, {.id = 2}), slow(slow_loop, {.id = 3});
  a.transport->dial(fast.address());
  a.transport->dial(slow.address());
  REQUIRE(run_until(loop, [&] {
    slow_loop.restart();
    slow_loop.poll();
    return settled(a, fast) && settled(a, slow);
  }));
  const Bytes part = bytes_of(256u << 10, 1);
  std::size_t taken = 0;
  while (a.transport->send({3}, part) == SendResult::kQueued) {
    ++taken;
    loop.restart();
    loop.poll();
    REQUIRE(taken < 1000);
  }
  CHECK(a.transport->send({3}, part) == SendResult::kQueueFull);
  CHECK(a.transport->send({3}, Bytes(200)) == SendResult::kQueued);
  CHECK(a.stats_of(3).messages_dropped == 2);
  CHECK(a.stats_of(3).queued_bytes <= 64u << 20);
  for (int i = 0; i < 100; ++i) {
    const std::size_t before = fast.messages.size();
    REQUIRE(a.transport->send({2}, part) == SendResult::kQueued);
    REQUIRE(run_until(loop, [&] { return fast.messages.size() > before; }));
  }
  CHECK(slow.messages.empty());
  REQUIRE(run_until(loop, [&] {
    slow_loop.restart();
    slow_loop.poll();
    return slow.messages.size() == taken + 1;
  }));
  CHECK(slow.messages.back().second.size() == 200);
  CHECK(a.downs.empty());
}

TEST_CASE("tcp: other clusters and other versions are refused with a sentence, on both sides") {
  asio::io_context loop;
  TcpNode a(loop, {.id = 1, .cluster = 0xA2FD}), b(loop, {.id = 2, .cluster = 0xB1});
  a.transport->dial(b.address());
  REQUIRE(run_until(loop, [&] { return !a.failures.empty() && !b.failures.empty(); }));
  CHECK(a.failures.front() == "cannot join " + b.address() +
                                  ": it runs cluster 00000000000000b1, this data directory is of 000000000000a2fd; "
                                  "use an empty --data-dir");
  CHECK(b.failed_with("it runs cluster 000000000000a2fd"));
  TcpNode c(loop, {.id = 3});
  c.hello.protocol_min = c.hello.protocol_max = 7;
  c.transport->set_hello(c.hello);
  c.transport->dial(a.address());
  REQUIRE(run_until(loop, [&] { return a.failed_with("versions 7 to 7") && !c.failures.empty(); }));
  CHECK(c.failed_with("it speaks protocol versions 1 to 1, this node 7 to 7"));
  CHECK(a.ups.empty());
  CHECK(c.ups.empty());
}

TEST_CASE("tcp: a node of no cluster may join, and goes on when it belongs to it") {
  asio::io_context loop;
  TcpNode a(loop, {.id = 5, .cluster = 7}), b(loop, {.id = 2});
  b.transport->dial(a.address());
  REQUIRE(run_until(loop, [&] { return settled(a, b); }));
  b.hello.cluster = {7};
  b.transport->set_hello(b.hello);
  b.transport->disconnect({5});
  REQUIRE(run_until(loop, [&] { return settled(a, b) && a.ups.size() == 2; }));
  CHECK(a.ups.back().cluster == ClusterId{7});
}

TEST_CASE("tcp: a node that dials itself drops the address") {
  asio::io_context loop;
  TcpNode a(loop, {.id = 1}), b(loop, {.id = 2});
  a.transport->dial(a.address());
  a.transport->dial(b.address());
  REQUIRE(run_until(loop, [&] { return settled(a, b); }));
  run_until(loop, [] { return false; }, std::chrono::milliseconds(50));
  CHECK(a.ups.size() == 1);
  CHECK(a.failures.empty());
  CHECK(a.transport->stats().size() == 1);
}

TEST_CASE("tcp: a later life replaces the older one, which may not come back") {
  for (std::uint64_t id : {1, 3}) {  // smaller and larger than the other node's
    CAPTURE(id);
    asio::io_context loop;
    TcpNode a(loop, {.id = 2}), first(loop, {.id = id, .incarnation = 4});
    first.transport->dial(a.address());
    REQUIRE(run_until(loop, [&] { return settled(a, first); }));
    TcpNode second(loop, {.id = id, .incarnation = 5});
    second.transport->dial(a.address());
    REQUIRE(run_until(loop, [&] { return a.ups.size() == 2 && second.linked(2); }));
    CHECK(a.ups.back().self.incarnation == 5);
    REQUIRE(a.downs.size() >= 1);
    CHECK(a.downs.back() == std::pair{NodeId{id}, true});
    REQUIRE(run_until(loop, [&] { return a.failed_with("older life (4)"); }));
    CHECK(a.linked(id));
    CHECK(a.ups.size() == 2);
    CHECK(second.downs.empty());
  }
}

TEST_CASE("tcp: a port in use and a name that does not resolve are told clearly") {
  asio::io_context loop;
  TcpNode a(loop, {.id = 1});
  TcpNode b(loop, {.id = 2, .listen = a.address()});
  CHECK_FALSE(b.transport);
  CHECK(b.error.starts_with("cannot listen on " + a.address() + ": another process uses this port"));
  TcpNode c(loop, {.id = 3, .listen = "no-such-host.invalid:7400"});
  CHECK_FALSE(c.transport);
  CHECK(c.error.find("the name no-such-host.invalid does not resolve") != std::string::npos);
  a.transport->dial("no-such-host.invalid:7400");
  a.transport->dial("nonsense:");
  REQUIRE(run_until(loop, [&] { return a.failed_with("no-such-host.invalid does not resolve") && a.failed_with("HOST:PORT"); }));
}

TEST_CASE("tcp: a transport may be stopped and destroyed inside its own callbacks") {
  asio::io_context loop;
  TcpNode a(loop, {.id = 1});
  for (std::uint64_t id : {2, 3, 4}) {
    TcpNode b(loop, {.id = id});
    bool gone = false;
    b.on_up = [&](const Hello&) {
      b.transport.reset();
      gone = true;
    };
    b.transport->dial(a.address());
    REQUIRE(run_until(loop, [&] { return gone; }));
    REQUIRE(run_until(loop, [&] { return a.downs.size() >= id - 1; }));
  }
}

TEST_CASE("tcp: the death of a process is proven within a moment, a mere close is not") {
  // The child must not inherit our loop: it makes its own after the fork.
  for (const bool we_dial : {true, false}) {
    CAPTURE(we_dial);
    asio::io_context loop;
    TcpNode a(loop, {.id = 1});
    int port_pipe[2];
    REQUIRE(::pipe(port_pipe) == 0);
    const std::string our_address = a.address();
    loop.notify_fork(asio::io_context::fork_prepare);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      asio::io_context child_loop;
      TcpNode b(child_loop, {.id = 2});
      const std::uint16_t port = b.transport->bound_ports().front();
      if (!we_dial) b.transport->dial(our_address);
      if (::write(port_pipe[1], &port, sizeof port) != sizeof port) ::_exit(1);
      child_loop.run_for(std::chrono::seconds(60));
      ::_exit(0);
    }
    loop.notify_fork(asio::io_context::fork_parent);
    std::uint16_t port = 0;
    REQUIRE(::read(port_pipe[0], &port, sizeof port) == sizeof port);
    if (we_dial) a.transport->dial("127.0.0.1:" + std::to_string(port));
    REQUIRE(run_until(loop, [&] { return a.linked(2); }));
    ::kill(child, SIGKILL);
    REQUIRE(run_until(loop, [&] { return !a.downs.empty(); }));
    const auto down = std::chrono::steady_clock::now();
    REQUIRE(run_until(loop, [&] { return a.downs.size() >= 2; }));
    const std::chrono::duration<double, std::micro> proof = std::chrono::steady_clock::now() - down;
    MESSAGE("proof of death after ", proof.count(), " us");
    CHECK(a.downs[0] == std::pair{NodeId{2}, false});
    CHECK(a.downs[1] == std::pair{NodeId{2}, true});
    CHECK(proof.count() < 1e6);
    ::waitpid(child, nullptr, 0);
    ::close(port_pipe[0]);
    ::close(port_pipe[1]);
    run_until(loop, [] { return false; }, std::chrono::milliseconds(20));
    CHECK(a.downs.size() == 2);  // told once
  }
}
