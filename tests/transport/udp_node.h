// One end of a UDP transport in a test, and a relay between two ends that is as bad as a test wants.
#pragma once

#include <asio/ip/udp.hpp>
#include <asio/steady_timer.hpp>

#include <map>

#include "tests/net/packet_relay.h"
#include "tests/transport/tcp_node.h"
#include "transport/monotonic_clock.h"
#include "transport/udp/udp_transport.h"

namespace rse::testing {

struct UdpNode {
  struct Options {
    std::uint64_t id = 1;
    std::uint64_t incarnation = 1;
    std::uint64_t cluster = 0;
    bool listens = true;
    std::string listen = "udp:127.0.0.1:0";
    std::chrono::milliseconds handshake_limit{2000};
    bool encrypted = true;
    Duration spin{};
    std::optional<TrustBook> book{};  // absent: that of a member of the one cluster of all tests
  };
  UdpNode(asio::io_context& loop, const Options& options) {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& peer) { ups.push_back(peer); };
    callbacks.on_down = [this](NodeId peer, bool proof) { downs.push_back({peer, proof}); };
    callbacks.on_message = [this](NodeId peer, std::span<const std::byte> message) {
      if (on_message) return on_message(message);
      messages.push_back({peer, Bytes(message.begin(), message.end())});
    };
    callbacks.on_room = [this](NodeId) { ++rooms; };
    callbacks.on_failure = [this](const std::string&, const std::string& why) { failures.push_back(why); };
    UdpOptions udp;
    if (options.listens) udp.listen.push_back(options.listen);
    udp.handshake_limit = options.handshake_limit;
    udp.spin = options.spin;
    if (options.encrypted) udp.trust = std::make_shared<TrustBook>(options.book ? *options.book : TcpNode::member_book());
    transport = make_udp_transport(loop, udp, std::move(callbacks), error);
    if (!transport) return;
    hello.cluster = {options.cluster};
    hello.self.node = {options.id};
    hello.self.incarnation = options.incarnation;
    hello.self.name = "node" + std::to_string(options.id);
    transport->set_hello(hello);
  }
  std::uint16_t port() const { return transport->bound_ports().front(); }
  std::string address() const { return "udp:127.0.0.1:" + std::to_string(port()); }
  LinkStats stats_of(std::uint64_t peer) const {
    for (const LinkStats& stats : transport->stats()) {
      if (stats.peer.raw == peer) return stats;
    }
    return {};
  }
  bool linked(std::uint64_t peer) const { return stats_of(peer).connected; }
  bool failed_with(const std::string& part) const {
    for (const std::string& why : failures) {
      if (why.find(part) != std::string::npos) return true;
    }
    return false;
  }

  Hello hello;
  std::string error;
  std::unique_ptr<UdpTransport> transport;
  std::vector<Hello> ups;
  std::vector<std::pair<NodeId, bool>> downs;
  std::vector<std::pair<NodeId, Bytes>> messages;
  std::function<void(std::span<const std::byte>)> on_message;
  int rooms = 0;
  std::vector<std::string> failures;
};

/// Who dials its address reaches `port` by way of a PacketRelay.
class UdpRelay {
 public:
  UdpRelay(asio::io_context& loop, std::uint16_t port, const LinkFaults& faults, std::uint64_t seed)
      : relay_(2, seed),
        outside_(loop, {asio::ip::address_v4::loopback(), 0}),
        inside_(loop, {asio::ip::address_v4::loopback(), 0}),
        target_(asio::ip::address_v4::loopback(), port),
        timer_(loop) {
    set(faults);
    read(outside_, 0);
    read(inside_, 1);
  }
  void set(const LinkFaults& faults) {
    relay_.set(0, 1, faults);
    relay_.set(1, 0, faults);
  }
  std::string address() const { return "udp:127.0.0.1:" + std::to_string(outside_.local_endpoint().port()); }
  const PacketRelay::Counts& counts() const { return relay_.counts(); }
  /// Sees each packet; from: 0 who dials, 1 who is dialled. May be changed.
  std::function<void(std::size_t from, Bytes& packet)> spoil;

 private:
  void read(asio::ip::udp::socket& socket, std::size_t from) {
    socket.async_wait(asio::ip::udp::socket::wait_read, [this, &socket, from](const std::error_code& error) {
      if (error) return;
      socket.non_blocking(true);
      for (std::error_code none; !none;) {
        asio::ip::udp::endpoint sender;
        const std::size_t size = socket.receive_from(asio::buffer(buffer_), sender, 0, none);
        if (none) break;
        if (from == 0) dialler_ = sender;
        Bytes packet(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(size));
        if (spoil) spoil(from, packet);
        relay_.accept(monotonic_now(), from, 1 - from, packet);
      }
      deliver();
      read(socket, from);
    });
  }
  void deliver() {
    while (const auto packet = relay_.poll(monotonic_now())) {
      std::error_code ignored;
      if (packet->to == 1) inside_.send_to(asio::buffer(packet->packet), target_, 0, ignored);
      else outside_.send_to(asio::buffer(packet->packet), dialler_, 0, ignored);
    }
    const auto next = relay_.next_arrival();
    if (!next) return;
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(static_cast<std::int64_t>(next->raw))));
    timer_.async_wait([this](const std::error_code& cancelled) {
      if (!cancelled) deliver();
    });
  }

  PacketRelay relay_;
  asio::ip::udp::socket outside_, inside_;
  asio::ip::udp::endpoint target_, dialler_;
  asio::steady_timer timer_;
  std::array<std::byte, 65'536> buffer_{};
};

}  // namespace rse::testing
