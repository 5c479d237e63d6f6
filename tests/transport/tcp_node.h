// One end of a TCP transport in a test: writes down what it hears, and waits for it with a limit instead of sleeping.
#pragma once

#include <asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/tcp/tcp_transport.h"

namespace rse::testing {

/// Runs the loop until `done` or the limit; true when done.
inline bool run_until(asio::io_context& loop, const std::function<bool()>& done,
                      std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    loop.restart();
    loop.run_one_for(std::chrono::milliseconds(10));
  }
  return true;
}

struct TcpNode {
  struct Options {
    std::uint64_t id = 1;
    std::uint64_t incarnation = 1;
    std::uint64_t cluster = 0;
    bool listens = true;
    std::string listen = "127.0.0.1:0";
    std::chrono::milliseconds handshake_limit{2000};
    bool encrypted = true;
    Duration spin{};
    std::optional<TrustBook> book{};  // absent: that of a member of the one cluster of all tests
  };
  TcpNode(asio::io_context& loop, const Options& options) : loop(loop) {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& peer) {
      ups.push_back(peer);
      if (on_up) on_up(peer);
    };
    callbacks.on_down = [this](NodeId peer, bool proof) { downs.push_back({peer, proof}); };
    callbacks.on_message = [this](NodeId peer, std::span<const std::byte> message) {
      messages.push_back({peer, Bytes(message.begin(), message.end())});
      received_bytes += message.size();
    };
    callbacks.on_failure = [this](const std::string&, const std::string& why) { failures.push_back(why); };
    TcpOptions tcp;
    if (options.listens) tcp.listen.push_back(options.listen);
    tcp.handshake_limit = options.handshake_limit;
    tcp.spin = options.spin;
    if (options.encrypted) tcp.trust = std::make_shared<TrustBook>(options.book ? *options.book : member_book());
    transport = make_tcp_transport(loop, tcp, std::move(callbacks), error);
    if (!transport) return;
    hello.cluster = {options.cluster};
    hello.self.node = {options.id};
    hello.self.incarnation = options.incarnation;
    hello.self.name = "node" + std::to_string(options.id);
    if (options.listens) hello.self.addresses.push_back(address());
    transport->set_hello(hello);
  }
  static TrustBook member_book() {
    static const SecretKey seed = random_secret();
    TrustBook book(NodeKey::generate());
    book.trust.seed = seed.bytes;
    return book;
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(transport->bound_ports().front()); }
  bool linked(std::uint64_t peer) const {
    for (const LinkStats& stats : transport->stats()) {
      if (stats.peer.raw == peer) return stats.connected;
    }
    return false;
  }
  LinkStats stats_of(std::uint64_t peer) const {
    for (const LinkStats& stats : transport->stats()) {
      if (stats.peer.raw == peer) return stats;
    }
    return {};
  }
  bool failed_with(const std::string& part) const {
    for (const std::string& why : failures) {
      if (why.find(part) != std::string::npos) return true;
    }
    return false;
  }

  asio::io_context& loop;
  Hello hello;
  std::string error;
  std::unique_ptr<TcpTransport> transport;
  std::function<void(const Hello&)> on_up;
  std::vector<Hello> ups;
  std::vector<std::pair<NodeId, bool>> downs;
  std::vector<std::pair<NodeId, Bytes>> messages;
  std::size_t received_bytes = 0;
  std::vector<std::string> failures;
};

}  // namespace rse::testing
