// Asks a STUN server again and again by the socket that a node listens on: so the way in through a NAT stays open, and a change of
// the public address is noticed.
// Threads: the event loop's. Memory: small. Errors: a server that does not answer is asked again.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "transport/stun/stun.h"

namespace rse {

class StunKeeper : public std::enable_shared_from_this<StunKeeper> {
 public:
  struct Hooks {
    std::function<void(std::span<const std::byte> question)> send;
    std::function<void(const asio::ip::udp::endpoint& before, const asio::ip::udp::endpoint& after)> changed;
  };
  StunKeeper(asio::io_context& loop, Hooks hooks) : timer_(loop), hooks_(std::move(hooks)) {}
  void start() { tick(); }
  /// No hook is called from here on.
  void stop();
  void on_datagram(std::span<const std::byte> datagram);

 private:
  void tick();
  void wait(Duration time);

  asio::steady_timer timer_;
  Hooks hooks_;
  std::optional<StunClient> client_;
  std::optional<asio::ip::udp::endpoint> mapped_;
  bool stopped_ = false;
};

}  // namespace rse
