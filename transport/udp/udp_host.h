// Links over UDP on a host: Asio's sockets, timer and resolver around UdpCore, and the question to a STUN server.
// Outlives the transport while handlers of the event loop refer to it.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/stun/stun_keeper.h"
#include "transport/udp/udp_core.h"
#include "transport/udp/udp_socket.h"
#include "transport/udp/udp_transport.h"

namespace rse {

class UdpHost final : public UdpSystem, public std::enable_shared_from_this<UdpHost> {
 public:
  UdpHost(asio::io_context& loop, const UdpOptions& options, TransportCallbacks callbacks);
  /// Empty: done.
  std::string listen(const std::vector<std::string>& addresses);
  std::vector<std::uint16_t> bound_ports() const;
  void set_hello(const Hello& hello);
  void stop();
  UdpCore& core() { return core_; }
  const UdpCore& core() const { return core_; }

 private:
  Instant now() const override;
  void call_soon() override;
  void call_at(Instant when) override;
  std::shared_ptr<UdpPort> port_to(const UdpEndpoint& to) override;
  void resolve(const std::string& address, std::uint64_t attempt) override;
  void flush() override;
  std::string text(const UdpEndpoint& endpoint) const override;
  std::string host(const UdpEndpoint& endpoint) const override;

  std::error_code listen_on(asio::ip::udp::endpoint& own);
  std::shared_ptr<UdpSocket> make_socket();
  void keep_public_address();

  asio::io_context& loop_;
  const Duration spin_;
  bool started_ = false;
  struct Listener {
    std::shared_ptr<UdpSocket> socket;
    bool asked_for;  // else made for dialling
  };
  std::vector<Listener> sockets_;
  asio::steady_timer timer_;
  std::map<std::uint64_t, std::shared_ptr<asio::ip::udp::resolver>> resolvers_;  // by attempt
  std::optional<UdpEndpoint> stun_server_;  // none: its answers are not wanted
  std::shared_ptr<StunKeeper> stun_;
  std::function<void(const std::string& before, const std::string& after)> on_public_address_;
  UdpCore core_;
};

}  // namespace rse
