#include "transport/mux/mux_transport.h"

#include <doctest/doctest.h>

#include <deque>
#include <utility>

using namespace rse;

namespace {

/// A transport that does what the test says.
struct Puppet final : Transport {
  explicit Puppet(TransportCallbacks callbacks) : callbacks(std::move(callbacks)) {}
  void set_hello(const Hello&) override {}
  void set_trust(std::shared_ptr<const TrustBook>) override {}
  void dial(const std::string& address) override { dialled.push_back(address); }
  void undial(const std::string& address) override { std::erase(dialled, address); }
  SendResult send_parts(NodeId, std::span<const SharedBytes> parts) override {
    parts_of_last = parts.size();
    if (answer == SendResult::kQueued) ++sent;
    return answer;
  }
  bool has_room(NodeId) const override { return room; }
  void disconnect(NodeId) override { ++disconnects; }
  std::vector<LinkStats> stats() const override { return {{.peer = {7}, .transport = name, .connected = connected}}; }
  void stop() override { stopped = true; }

  void up(std::uint64_t incarnation) {
    Hello hello;
    hello.self.node = {7};
    hello.self.incarnation = incarnation;
    callbacks.on_up(hello);
  }
  void down(bool proof) { callbacks.on_down({7}, proof); }
  void message() { callbacks.on_message({7}, Bytes(3)); }

  TransportCallbacks callbacks;
  std::string name;
  std::vector<std::string> dialled;
  SendResult answer = SendResult::kQueued;
  int sent = 0, disconnects = 0;
  std::size_t parts_of_last = 0;
  bool room = true;
  bool connected = false, stopped = false;
};

struct Fixture {
  Fixture() {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& peer) { heard.push_back("up " + std::to_string(peer.self.incarnation)); };
    callbacks.on_down = [this](NodeId, bool proof) { heard.push_back(proof ? "dead" : "down"); };
    callbacks.on_message = [this](NodeId, std::span<const std::byte>) { heard.push_back("message"); };
    callbacks.on_room = [this](NodeId) { heard.push_back("room"); };
    callbacks.on_failure = [](const std::string&, const std::string&) {};
    mux = std::make_unique<MuxTransport>(std::move(callbacks));
    for (auto [scheme, puppet] : {std::pair{"ivshmem", &shared}, std::pair{"", &tcp}}) {
      const std::string error = mux->add(scheme, [&](TransportCallbacks own, std::string&) {
        auto made = std::make_unique<Puppet>(std::move(own));
        *puppet = made.get();
        return made;
      });
      REQUIRE(error.empty());
    }
    shared->name = "ivshmem";
    tcp->name = "tcp";
  }
  std::vector<std::string> take() { return std::exchange(heard, {}); }
  std::vector<std::string> heard;
  Puppet* shared = nullptr;
  Puppet* tcp = nullptr;
  std::unique_ptr<MuxTransport> mux;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("mux: an address goes to the transport of its scheme, a bare one to TCP") {
  Fixture fixture;
  fixture.mux->dial("ivshmem:rse");
  fixture.mux->dial("10.0.0.7:7400");
  fixture.mux->dial("[::1]:7400");
  CHECK(fixture.shared->dialled == Lines{"ivshmem:rse"});
  CHECK(fixture.tcp->dialled == Lines{"10.0.0.7:7400", "[::1]:7400"});
  fixture.mux->undial("ivshmem:rse");
  CHECK(fixture.shared->dialled.empty());
}

TEST_CASE("mux: two links are one; the better carries, and its loss is not heard of while the other is there") {
  Fixture fixture;
  CHECK(fixture.mux->send({7}, Bytes(1)) == SendResult::kNoLink);
  fixture.tcp->up(1);
  CHECK(fixture.mux->send({7}, Bytes(1)) == SendResult::kQueued);
  CHECK(fixture.tcp->sent == 1);
  fixture.shared->up(1);
  CHECK(fixture.mux->send({7}, Bytes(1)) == SendResult::kQueued);
  CHECK(fixture.shared->sent == 1);
  fixture.tcp->message();
  fixture.shared->message();
  CHECK(fixture.take() == Lines{"up 1", "message", "message"});
  fixture.shared->down(false);
  CHECK(fixture.mux->send({7}, Bytes(1)) == SendResult::kQueued);
  CHECK(fixture.tcp->sent == 2);
  CHECK(fixture.take().empty());
  fixture.tcp->down(false);
  fixture.tcp->message();
  CHECK(fixture.take() == Lines{"down"});
  fixture.shared->up(1);
  CHECK(fixture.take() == Lines{"up 1"});
}

TEST_CASE("mux: what is said about room is that of the link in use, and a message in parts stays in parts") {
  Fixture fixture;
  CHECK(fixture.mux->has_room({7}));
  fixture.tcp->up(1);
  fixture.shared->up(1);
  fixture.shared->room = false;
  CHECK_FALSE(fixture.mux->has_room({7}));
  fixture.tcp->callbacks.on_room({7});
  CHECK(fixture.take() == Lines{"up 1"});
  fixture.shared->callbacks.on_room({7});
  CHECK(fixture.take() == Lines{"room"});
  const Bytes one(1), other(2);
  const std::vector<SharedBytes> parts = {SharedBytes(one), SharedBytes(other)};
  CHECK(fixture.mux->send_parts({7}, parts) == SendResult::kQueued);
  CHECK(fixture.shared->parts_of_last == 2);
  fixture.shared->down(false);
  CHECK(fixture.mux->has_room({7}));
}

TEST_CASE("mux: a link that is gone without having said so is passed over, a full one is not") {
  Fixture fixture;
  fixture.shared->up(1);
  fixture.tcp->up(1);
  fixture.shared->answer = SendResult::kNoLink;
  CHECK(fixture.mux->send({7}, Bytes(1)) == SendResult::kQueued);
  CHECK(fixture.tcp->sent == 1);
  fixture.shared->answer = SendResult::kQueueFull;
  CHECK(fixture.mux->send({7}, Bytes(1)) == SendResult::kQueueFull);
}

TEST_CASE("mux: one proof of death ends all links, once; who lives after all comes up again") {
  Fixture fixture;
  fixture.shared->up(1);
  fixture.tcp->up(1);
  fixture.shared->down(true);
  CHECK(fixture.tcp->disconnects == 1);
  fixture.tcp->down(false);
  fixture.tcp->down(true);
  CHECK(fixture.take() == Lines{"up 1", "dead"});
  fixture.tcp->up(1);
  CHECK(fixture.take() == Lines{"up 1"});
  fixture.tcp->down(false);
  fixture.tcp->down(true);
  CHECK(fixture.take() == Lines{"down", "dead"});
}

TEST_CASE("mux: a later life ends the older one over every transport, and an older one stays out") {
  Fixture fixture;
  fixture.shared->up(1);
  fixture.tcp->up(2);
  fixture.shared->message();
  CHECK(fixture.take() == Lines{"up 1", "dead", "up 2"});
  fixture.shared->down(false);
  fixture.shared->up(1);
  CHECK(fixture.shared->disconnects == 1);
  CHECK(fixture.take().empty());
  fixture.shared->up(2);
  CHECK(fixture.take().empty());
  CHECK(fixture.mux->send({7}, Bytes(1)) == SendResult::kQueued);
  CHECK(fixture.shared->sent == 1);
}

TEST_CASE("mux: the link in use comes first in the numbers") {
  Fixture fixture;
  fixture.tcp->connected = true;
  CHECK(fixture.mux->stats().front().transport == "tcp");
  fixture.shared->connected = true;
  CHECK(fixture.mux->stats().front().transport == "ivshmem");
}

TEST_CASE("mux: a new public address is heard of from whichever transport has noticed it, by whoever wants to know") {
  Lines heard;
  TransportCallbacks callbacks;
  callbacks.on_public_address = [&](const std::string& before, const std::string& after) { heard.push_back(before + " " + after); };
  for (const bool wanted : {true, false}) {
    MuxTransport mux(wanted ? callbacks : TransportCallbacks{});
    Puppet* puppet = nullptr;
    REQUIRE(mux.add("udp", [&](TransportCallbacks own, std::string&) {
                 auto made = std::make_unique<Puppet>(std::move(own));
                 puppet = made.get();
                 return made;
               }).empty());
    puppet->callbacks.on_public_address("udp:192.0.2.1:1", "udp:192.0.2.1:2");
  }
  CHECK(heard == Lines{"udp:192.0.2.1:1 udp:192.0.2.1:2"});
}

TEST_CASE("mux: it may be destroyed inside a callback") {
  Fixture fixture;
  TransportCallbacks callbacks;
  std::unique_ptr<MuxTransport> mux;
  Puppet* puppet = nullptr;
  callbacks.on_up = [&](const Hello&) { mux.reset(); };
  callbacks.on_down = [](NodeId, bool) { FAIL("told after its end"); };
  mux = std::make_unique<MuxTransport>(std::move(callbacks));
  std::unique_ptr<Puppet> kept;
  const std::string error = mux->add("", [&](TransportCallbacks own, std::string&) {
    auto made = std::make_unique<Puppet>(std::move(own));
    puppet = made.get();
    return made;
  });
  CHECK(error.empty());
  const TransportCallbacks own = puppet->callbacks;
  Hello hello;
  hello.self.node = {7};
  hello.self.incarnation = 1;
  own.on_up(hello);
  CHECK_FALSE(mux);
}
