// What a TCP transport does with a connection whose other end is no node of ours, or a broken one. The frames are the same
// inside the encrypted channel; here they travel openly, so that a test can spoil them.
#include <doctest/doctest.h>

#include <asio/connect.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include <cstring>

#include "tests/transport/tcp_node.h"
#include "torus/base/random.h"
#include "transport/codec/codec.h"

using namespace rse;
using asio::ip::tcp;
using testing::run_until;
using testing::TcpNode;

namespace {

/// A raw connection to a node.
struct Raw {
  Raw(asio::io_context& loop, const TcpNode& node) : socket(loop) {
    socket.connect({asio::ip::address_v4::loopback(), node.transport->bound_ports().front()});
  }
  void write(const Bytes& bytes) {
    std::error_code ignored;
    asio::write(socket, asio::buffer(bytes), ignored);
  }
  void write_frame(const Bytes& bytes) {
    Bytes frame;
    ByteWriter(frame).put_sized(bytes);
    write(frame);
  }
  Bytes read_frame(asio::io_context& loop) {
    run_until(loop, [&] { return socket.available() >= 4; });
    std::uint32_t size = 0;
    asio::read(socket, asio::buffer(&size, sizeof size));
    run_until(loop, [&] { return socket.available() >= size; });
    Bytes bytes(size);
    asio::read(socket, asio::buffer(bytes));
    return bytes;
  }
  /// Takes part as node 9, which is larger than the node under test, until the link is up.
  void become_peer(asio::io_context& loop, TcpNode& node) {
    Hello hello;
    hello.self = {{9}, 1, "raw", {}};
    Bytes bytes;
    encode_hello(hello, bytes);
    write_frame(bytes);
    read_frame(loop);
    bytes.clear();
    encode_link_claim({}, bytes);
    write_frame(bytes);
    const auto grant = decode_link_grant(read_frame(loop));
    REQUIRE(grant);
    REQUIRE(grant->link != 0);
    write_frame({});
    REQUIRE(run_until(loop, [&] { return node.linked(9); }));
  }
  /// Whether the node has closed the connection.
  bool closed(asio::io_context& loop) {
    socket.non_blocking(true);
    return run_until(loop, [&] {
      std::array<std::byte, 4096> bytes;
      std::error_code error;
      socket.read_some(asio::buffer(bytes), error);
      return error && error != asio::error::would_block;
    });
  }
  tcp::socket socket;
};

Bytes u32(std::uint32_t value) {
  Bytes bytes;
  ByteWriter(bytes).put(value);
  return bytes;
}

}  // namespace

TEST_CASE("tcp: an oversized frame closes the link and says why") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .encrypted = false});
  Raw raw(loop, node);
  raw.become_peer(loop, node);
  raw.write(u32((17u << 20) + 1));
  REQUIRE(raw.closed(loop));
  REQUIRE(run_until(loop, [&] { return !node.downs.empty() && !node.failures.empty(); }));
  CHECK(node.failed_with("it announced a frame of 17825793 bytes and at most 17825792 are allowed"));
  CHECK(node.downs.front() == std::pair{NodeId{9}, false});
}

TEST_CASE("tcp: a frame cut short is no message; what came before it is") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .encrypted = false});
  Raw raw(loop, node);
  raw.become_peer(loop, node);
  raw.write_frame(Bytes(5));
  raw.write(u32(1000));
  raw.write(Bytes(999));
  raw.socket.close();
  REQUIRE(run_until(loop, [&] { return !node.downs.empty(); }));
  CHECK(node.messages.size() == 1);
  CHECK(node.messages.front().second.size() == 5);
}

TEST_CASE("tcp: frames may arrive in any pieces") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .encrypted = false});
  Raw raw(loop, node);
  raw.become_peer(loop, node);
  Random random(4);
  Bytes stream;
  std::size_t sent = 0;
  for (int i = 0; i < 200; ++i, ++sent) ByteWriter(stream).put_sized(Bytes(1 + random.below(3000)));
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random.below(700), stream.size() - at);
    raw.write(Bytes(stream.begin() + at, stream.begin() + at + size));
    at += size;
    loop.restart();
    loop.poll();
  }
  CHECK(run_until(loop, [&] { return node.messages.size() == sent; }));
}

TEST_CASE("tcp: garbage instead of a hello closes the connection and disturbs nobody") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .encrypted = false}), other(loop, {.id = 2, .encrypted = false});
  other.transport->dial(node.address());
  REQUIRE(run_until(loop, [&] { return node.linked(2) && other.linked(1); }));
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Raw raw(loop, node);
    Bytes garbage(1 + random.below(2000));
    for (std::byte& byte : garbage) byte = static_cast<std::byte>(random.below(256));
    if (seed % 2 == 0) {
      raw.write_frame(garbage);
    } else {
      raw.write(garbage);
    }
    raw.socket.shutdown(tcp::socket::shutdown_send);
    CHECK(raw.closed(loop));
  }
  CHECK(node.linked(2));
  CHECK(node.downs.empty());
  CHECK(node.ups.size() == 1);
  Raw web(loop, node);
  const std::string request = "GET / HTTP/1.1\r\n\r\n";
  web.write(Bytes(reinterpret_cast<const std::byte*>(request.data()),
                  reinterpret_cast<const std::byte*>(request.data()) + request.size()));
  CHECK(web.closed(loop));
  CHECK(node.failed_with("is it an rse-node?"));
}

TEST_CASE("tcp: damaged handshakes never become links by accident and never crash") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .handshake_limit = std::chrono::milliseconds(200), .encrypted = false});
  Hello hello;
  hello.self = {{9}, 1, "raw", {"127.0.0.1:1"}};
  Bytes good;
  encode_hello(hello, good);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Bytes bytes = good;
    bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] ^= std::byte{1} << random.below(8);
    Raw raw(loop, node);
    raw.write_frame(bytes);
    Bytes claim(random.below(12));
    for (std::byte& byte : claim) byte = static_cast<std::byte>(random.below(256));
    raw.write_frame(claim);
    raw.socket.shutdown(tcp::socket::shutdown_send);
    CHECK(raw.closed(loop));
  }
}

TEST_CASE("tcp: who does not finish the handshake is closed, whether silent at its start or at its end") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .handshake_limit = std::chrono::milliseconds(100), .encrypted = false});
  Raw silent(loop, node);
  CHECK(silent.closed(loop));
  CHECK(node.failed_with("did not finish the handshake within 100 ms"));
  Raw halfway(loop, node);
  Hello hello;
  hello.self = {{9}, 1, "raw", {}};
  Bytes bytes;
  encode_hello(hello, bytes);
  halfway.write_frame(bytes);
  bytes.clear();
  encode_link_claim({}, bytes);
  halfway.write_frame(bytes);
  CHECK(halfway.closed(loop));  // granted, but never taken
  REQUIRE(run_until(loop, [&] { return !node.downs.empty(); }));
  CHECK_FALSE(node.linked(9));
}

TEST_CASE("tcp: who sends a byte now and then is closed all the same, and a link that is up does not notice") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .handshake_limit = std::chrono::milliseconds(300), .encrypted = false});
  TcpNode member(loop, {.id = 2, .encrypted = false});
  member.transport->dial(node.address());
  REQUIRE(run_until(loop, [&] { return node.linked(2) && member.linked(1); }));
  Raw slow(loop, node);
  Hello hello;
  hello.self = {{9}, 1, "raw", {}};
  Bytes encoded, frame;
  encode_hello(hello, encoded);
  ByteWriter(frame).put_sized(encoded);
  std::size_t written = 0;
  slow.socket.non_blocking(true);
  const bool ended = run_until(loop, [&] {  // a byte a turn of the loop, of which there are a hundred a second
    std::error_code error;
    if (written < frame.size() - 1) written += slow.socket.write_some(asio::buffer(&frame[written], 1), error);
    std::array<std::byte, 4096> bytes;
    slow.socket.read_some(asio::buffer(bytes), error);
    return error && error != asio::error::would_block;
  });
  CHECK(ended);
  CHECK(written > 5);
  CHECK(node.failed_with("did not finish the handshake within 300 ms"));
  REQUIRE(member.transport->send({1}, Bytes(100)) == SendResult::kQueued);
  CHECK(run_until(loop, [&] { return node.messages.size() == 1; }));
  CHECK(node.downs.empty());
}

TEST_CASE("tcp: a link that the other side has lost is replaced without a word") {
  asio::io_context loop;
  TcpNode node(loop, {.id = 1, .encrypted = false});
  Raw first(loop, node);
  first.become_peer(loop, node);
  Raw second(loop, node);  // claims no link: it knows nothing of the first, which is still open
  second.become_peer(loop, node);
  CHECK(first.closed(loop));
  second.write_frame(Bytes(3));
  REQUIRE(run_until(loop, [&] { return !node.messages.empty(); }));
  CHECK(node.ups.size() == 1);
  CHECK(node.downs.empty());
  CHECK(node.stats_of(9).reconnects == 1);
}
