// Sends and receives beacons on the interfaces that a node listens on, and on no others: a node on loopback is silent on the
// network. IPv4 only. Interfaces that come later are found by the next send() or refresh().
// Threads: the event loop's. Memory: small. Errors: an interface that cannot is passed over; without any, nothing is heard.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "transport/beacon/beacon.h"

namespace rse {

struct BeaconInterface {
  int index = 0;
  asio::ip::address_v4 address;
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
  void wait();

  asio::io_context& loop_;
  std::vector<std::string> listen_;
  Arrived arrived_;
  asio::ip::udp::socket socket_;
  std::array<std::byte, kBeaconBytesMax + 1> buffer_{};
};

}  // namespace rse
