// The encrypted TCP transport among strangers: who is let in, who is told why not, and what floods do to the others.
#include <doctest/doctest.h>

#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include <cstring>

#include "tests/transport/tcp_node.h"
#include "torus/base/random.h"
#include "transport/clock.h"
#include "transport/codec/codec.h"
#include "transport/secure/channel.h"

using namespace rse;
using asio::ip::tcp;
using testing::run_until;
using testing::TcpNode;

namespace {

tcp::socket connection_to(asio::io_context& loop, const TcpNode& node) {
  tcp::socket socket(loop);
  socket.connect({asio::ip::address_v4::loopback(), node.transport->bound_ports().front()});
  return socket;
}

bool closed(asio::io_context& loop, tcp::socket& socket) {
  socket.non_blocking(true);
  return run_until(loop, [&] {
    std::array<std::byte, 4096> bytes;
    std::error_code error;
    socket.read_some(asio::buffer(bytes), error);
    return error && error != asio::error::would_block;
  });
}

void write(tcp::socket& socket, const Bytes& bytes) {
  std::error_code ignored;
  asio::write(socket, asio::buffer(bytes), ignored);
}

/// Speaks the channel by hand, as a member, so that what follows can be spoilt.
struct RawMember {
  RawMember(asio::io_context& loop, const TcpNode& node, const TrustBook& book)
      : socket(connection_to(loop, node)), channel(NoiseRole::kInitiator, std::make_shared<TrustBook>(book), "raw:1") {
    Bytes out;
    channel.start(out);
    write(socket, out);
    Bytes in;
    run_until(loop, [&] {
      in.resize(in.size() + socket.available());
      if (const std::size_t some = socket.available(); some > 0 && some <= in.size()) {
        asio::read(socket, asio::buffer(in.data() + in.size() - some, some));
      }
      out.clear();
      const std::size_t taken = channel.on_handshake(in, unix_seconds(), out);
      in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(taken));
      if (!out.empty()) write(socket, out);
      return channel.state() != SecureChannel::State::kHandshake;
    });
  }
  Bytes sealed_frame(const Bytes& frame) {
    Bytes plain, wire;
    ByteWriter(plain).put_sized(frame);
    const std::array<std::span<const std::byte>, 1> pieces{plain};
    wire.resize(SecureChannel::sealed_size(plain.size()));
    channel.seal(pieces, wire.data());
    return wire;
  }
  /// As node 9: hello and claim, and it says that it has taken the grant, whatever it may be.
  void become_peer(asio::io_context& loop, TcpNode& node) {
    Hello hello;
    hello.self = {{9}, 1, "raw", {}};
    Bytes bytes;
    encode_hello(hello, bytes);
    write(socket, sealed_frame(bytes));
    bytes.clear();
    encode_link_claim({}, bytes);
    write(socket, sealed_frame(bytes));
    write(socket, sealed_frame({}));
    REQUIRE(run_until(loop, [&] { return node.linked(9); }));
  }
  tcp::socket socket;
  SecureChannel channel;
};

}  // namespace

TEST_CASE("secure tcp: nothing that was sent can be read on the way, and both ends know each other's key") {
  asio::io_context loop;
  TcpNode a(loop, {.id = 1}), b(loop, {.id = 2});
  b.transport->dial(a.address());
  REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
  REQUIRE(a.ups.size() == 1);
  CHECK_FALSE(a.ups.front().key.is_none());
  CHECK(a.ups.front().ticket == 0);
  CHECK(a.stats_of(2).transport == "tcp");
}

TEST_CASE("secure tcp: a record that is changed, cut short, doubled or made up ends the link, and is no message") {
  for (int damage = 0; damage < 5; ++damage) {
    CAPTURE(damage);
    asio::io_context loop;
    TcpNode node(loop, {.id = 1});
    RawMember raw(loop, node, TcpNode::member_book());
    REQUIRE(raw.channel.state() == SecureChannel::State::kOpen);
    raw.become_peer(loop, node);
    const Bytes good = raw.sealed_frame(Bytes(100));
    write(raw.socket, good);
    REQUIRE(run_until(loop, [&] { return node.messages.size() == 1; }));
    Bytes bad = raw.sealed_frame(Bytes(100));
    if (damage == 0) bad[50] ^= std::byte{1};
    if (damage == 1) bad[0] = std::byte(16), bad[1] = {};  // a record without text
    if (damage == 2) bad = good;
    if (damage == 3) bad = raw.sealed_frame(Bytes(100));  // the one before it is missing
    if (damage == 4) bad.resize(bad.size() / 2);
    write(raw.socket, bad);
    if (damage == 4) raw.socket.shutdown(tcp::socket::shutdown_send);
    CHECK(closed(loop, raw.socket));
    REQUIRE(run_until(loop, [&] { return !node.downs.empty(); }));
    CHECK(node.messages.size() == 1);
    if (damage == 1) CHECK(node.failed_with("a record without text"));
    if (damage == 0 || damage == 2 || damage == 3) CHECK(node.failed_with("changed, lost or doubled on the way"));
  }
}

TEST_CASE("secure tcp: a stranger without a ticket is refused and told why, by the one it dials and by its own side") {
  asio::io_context loop;
  TrustBook pinned = TcpNode::member_book();
  TcpNode member(loop, {.id = 1, .book = pinned});
  TrustBook stranger(NodeKey::generate());
  stranger.cluster = {};
  stranger.trust.seed = random_secret().bytes;
  stranger.trust.admitted = {{{1}, pinned.key.shared()}};  // it knows the member, the member does not know it
  TcpNode other(loop, {.id = 2, .book = stranger});
  other.transport->dial(member.address());
  REQUIRE(run_until(loop, [&] { return other.failed_with("its key is not known to cluster"); }));
  CHECK(member.failed_with("its key is not known to cluster"));
  CHECK(member.ups.empty());
  CHECK(other.ups.empty());
}

TEST_CASE("secure tcp: a node that shows another key than the one pinned to it is refused and told why, whoever decides on the link") {
  for (const std::uint64_t own : {1, 3}) {
    CAPTURE(own);
    asio::io_context loop;
    TrustBook pinned = TcpNode::member_book();
    pinned.trust.admitted.push_back({{2}, NodeKey::generate().shared()});
    TcpNode member(loop, {.id = own, .book = pinned}), other(loop, {.id = 2, .book = TcpNode::member_book()});
    other.transport->dial(member.address());
    REQUIRE(run_until(loop, [&] { return other.failed_with("another key than that node"); }));
    CHECK(member.failed_with("another key than that node"));
    CHECK(member.ups.empty());
    CHECK(other.ups.empty());
  }
}

TEST_CASE("secure tcp: a key that is revoked while its link is up loses the link at once, and gets no new one") {
  asio::io_context loop;
  TrustBook one = TcpNode::member_book(), two = TcpNode::member_book();
  TcpNode a(loop, {.id = 1, .book = one}), b(loop, {.id = 2, .book = two});
  b.transport->dial(a.address());
  REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
  auto changed = std::make_shared<TrustBook>(one);
  changed->trust.revoked = {two.key.shared()};
  a.transport->set_trust(changed);
  REQUIRE(run_until(loop, [&] { return !a.downs.empty() && !b.downs.empty(); }));
  REQUIRE(run_until(loop, [&] { return b.failed_with("its key has been revoked"); }));
  CHECK_FALSE(a.linked(2));
  CHECK(a.ups.size() == 1);
}

TEST_CASE("secure tcp: a node that does not encrypt and one that does tell each other apart") {
  asio::io_context loop;
  TcpNode safe(loop, {.id = 1}), open(loop, {.id = 2, .encrypted = false});
  open.transport->dial(safe.address());
  REQUIRE(run_until(loop, [&] { return !safe.failures.empty() && !open.failures.empty(); }));
  CHECK(safe.failed_with("it does not speak RSE's encrypted protocol"));
  safe.transport->dial(open.address());
  REQUIRE(run_until(loop, [&] { return safe.failures.size() >= 2; }));
  CHECK(safe.ups.empty());
  CHECK(open.ups.empty());
}

TEST_CASE("secure tcp: garbage, noise behind the right first bytes, and silence never become links") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .handshake_limit = std::chrono::milliseconds(150)});
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    tcp::socket socket = connection_to(loop, node);
    Bytes bytes(12 + random.below(2000));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
    if (seed % 3 != 0) std::memcpy(bytes.data(), "RSEsec1\n", 8);
    if (seed % 3 == 1) std::memcpy(bytes.data() + 8, "\x21\0", 2);  // the size of a first message
    if (seed % 5 == 0) bytes.resize(random.below(12));
    write(socket, bytes);
    CHECK(closed(loop, socket));
  }
  CHECK(node.ups.empty());
  CHECK(node.failures.size() <= 2);  // one line for the host, not one for each
}

TEST_CASE("secure tcp: thousands of silent connections displace each other, and a member still gets in") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1}), member(loop, {.id = 2});
  std::vector<tcp::socket> silent;
  member.transport->dial(node.address());
  REQUIRE(run_until(loop, [&] { return node.linked(2) && member.linked(1); }));
  for (int i = 0; i < 400; ++i) {
    silent.push_back(connection_to(loop, node));
    loop.restart();
    loop.poll();
  }
  CHECK(node.linked(2));
  CHECK(node.downs.empty());
  CHECK(member.downs.empty());
  CHECK(node.failures.size() <= 2);
  std::size_t open = 0;
  run_until(loop, [&] {
    open = 0;
    for (tcp::socket& socket : silent) {
      socket.non_blocking(true);
      std::byte byte;
      std::error_code error;
      socket.read_some(asio::buffer(&byte, 1), error);
      open += error == asio::error::would_block;
    }
    return open <= 32;
  });
  CHECK(open <= 32);
  TcpNode late(loop, {.id = 3});
  late.transport->dial(node.address());  // the same host, whose budget is used up: it takes its turn
  CHECK(run_until(loop, [&] { return late.linked(1) && node.linked(3); }));
}
