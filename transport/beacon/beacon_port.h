// Sends and receives beacons on the interfaces that a node listens on, and on no others: a node on loopback is silent on the
// network. Over IPv4 and IPv6, each where an interface has it. Interfaces that come later are found by the next send() or refresh().
// Threads: the event loop's. Memory: small. Errors: an interface or a family that cannot is passed over; without any, nothing is heard.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "transport/beacon/beacon.h"

namespace rse {

struct BeaconInterface {
  int index = 0;
  std::optional<asio::ip::address_v4> v4{};
  std::optional<asio::ip::address_v6> link_local{};  // with the interface as its scope
};
/// Those of this machine that a node which listens on these addresses ("HOST:PORT", "udp:HOST:PORT") is reached by.
std::vector<BeaconInterface> beacon_interfaces(const std::vector<std::string>& listen);

class BeaconPort : public std::enable_shared_from_this<BeaconPort> {
 public:
  using Arrived = std::function<void(const asio::ip::address& from, std::span<const std::byte> datagram)>;
  BeaconPort(asio::io_context& loop, std::vector<std::string> listen, Arrived arrived);
  void send(std::span<const std::byte> datagram);
  /// Hears from now on; again now and then, for new interfaces.
  void refresh();
  void stop_listening();

 private:
  using Socket = asio::ip::udp::socket;
  void send_v4(const BeaconInterface& interface, std::span<const std::byte> datagram);
  void send_v6(const BeaconInterface& interface, std::span<const std::byte> datagram);
  void open_v4();
  void open_v6();
  void wait(Socket& socket);
  void receive(Socket& socket);

  asio::io_context& loop_;
  std::vector<std::string> listen_;
  Arrived arrived_;
  Socket v4_, v6_;
  std::array<std::byte, kBeaconBytesMax + 1> buffer_{};
};

}  // namespace rse
