#include "transport/inprocess/inprocess_transport.h"

#include <doctest/doctest.h>

#include <vector>

#include "torus/braid/messages.h"

using namespace rse;

namespace {

/// An endpoint that writes down what it hears.
struct Node {
  Node(InProcessHub& hub, const std::string& address, std::uint64_t id, std::uint64_t cluster = 0) {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& peer) { heard.push_back("up " + std::to_string(peer.self.node.raw)); };
    callbacks.on_down = [this](NodeId peer, bool proof) {
      heard.push_back((proof ? "dead " : "down ") + std::to_string(peer.raw));
    };
    callbacks.on_message = [this](NodeId peer, std::span<const std::byte> message) {
      heard.push_back(std::to_string(peer.raw) + ":" + std::to_string(message.size()));
    };
    callbacks.on_failure = [this](const std::string&, const std::string& why) { heard.push_back(why); };
    transport = hub.make_endpoint(address, std::move(callbacks));
    Hello hello;
    hello.cluster = {cluster};
    hello.self.node = {id};
    transport->set_hello(hello);
  }
  std::vector<std::string> take() { return std::exchange(heard, {}); }
  std::vector<std::string> heard;
  std::unique_ptr<Transport> transport;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("in-process: who dials is connected, once, whoever comes first, and messages keep their order") {
  asio::io_context loop;
  InProcessHub hub(loop);
  Node a(hub, "a", 1);
  a.transport->dial("b");
  a.transport->dial("a");
  loop.poll();
  CHECK(a.take().size() == 1);  // nothing listens there
  Node b(hub, "b", 2);
  b.transport->dial("a");
  loop.restart(), loop.poll();
  CHECK(a.take() == Lines{"up 2"});
  CHECK(b.take() == Lines{"up 1"});
  CHECK(a.transport->send({2}, Bytes(3)) == SendResult::kQueued);
  CHECK(a.transport->send({2}, Bytes(5)) == SendResult::kQueued);
  CHECK(a.transport->send({9}, Bytes(5)) == SendResult::kNoLink);
  CHECK(a.transport->send({2}, Bytes(kMessageBytesMax + 1)) == SendResult::kTooLarge);
  loop.restart(), loop.poll();
  CHECK(b.take() == Lines{"1:3", "1:5"});
}

TEST_CASE("in-process: a cut is a close without proof, a destroyed endpoint is a death") {
  asio::io_context loop;
  InProcessHub hub(loop);
  Node a(hub, "a", 1), b(hub, "b", 2);
  a.transport->dial("b");
  loop.poll();
  hub.cut("a", "b");
  loop.restart(), loop.poll();
  CHECK(a.take() == Lines{"up 2", "down 2"});
  hub.heal("b", "a");
  loop.restart(), loop.poll();
  CHECK(a.take() == Lines{"up 2"});
  b.transport.reset();
  loop.restart(), loop.poll();
  CHECK(a.take().front() == "dead 2");
  CHECK(a.transport->stats().front().reconnects == 1);
}

TEST_CASE("in-process: a full queue refuses, and other clusters are refused") {
  asio::io_context loop;
  InProcessHub hub(loop, 100);
  Node a(hub, "a", 1, 7), b(hub, "b", 2, 7), c(hub, "c", 3, 8);
  a.transport->dial("b");
  a.transport->dial("c");
  loop.poll();
  const Lines heard = a.take();
  CHECK(heard.front() == "up 2");
  CHECK(heard.back().starts_with("cannot join c: it runs cluster 0000000000000008"));
  CHECK(a.transport->send({2}, Bytes(60)) == SendResult::kQueued);
  CHECK(a.transport->send({2}, Bytes(60)) == SendResult::kQueueFull);
  loop.restart(), loop.poll();
  CHECK(a.transport->send({2}, Bytes(60)) == SendResult::kQueued);
  CHECK(a.transport->stats().front().messages_dropped == 1);
}
