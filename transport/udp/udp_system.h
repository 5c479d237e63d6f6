// What links over UDP need of the system that they run on: a clock, a timer, ports and names. Asio's is udp_host.h, the guest
// kernel has its own. Threads: one event loop. Errors: a datagram that cannot be sent is lost, as on the network.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "torus/base/strong.h"

namespace rse {

struct UdpEndpoint {
  std::array<std::uint8_t, 16> address{};  // of IPv4 the first four
  std::uint32_t scope = 0;                 // of a link-local IPv6 address
  std::uint16_t port = 0;
  bool v6 = false;
  friend bool operator==(const UdpEndpoint&, const UdpEndpoint&) = default;
};

/// Where datagrams of one family leave and arrive.
class UdpPort : public std::enable_shared_from_this<UdpPort> {
 public:
  virtual ~UdpPort() = default;
  /// Room for a datagram of at most `size_max` bytes to `to`, until the next call.
  virtual std::byte* room(const UdpEndpoint& to, std::size_t size_max) = 0;
  /// The datagram that was written into the last room is so long; it goes with UdpSystem::flush().
  virtual void queue(std::size_t size) = 0;
  void send(const UdpEndpoint& to, std::span<const std::byte> datagram) {
    std::memcpy(room(to, datagram.size()), datagram.data(), datagram.size());
    queue(datagram.size());
  }
};

class UdpSystem {
 public:
  virtual ~UdpSystem() = default;
  virtual Instant now() const = 0;
  /// UdpCore::on_soon() from the event loop, not from inside this call.
  virtual void call_soon() = 0;
  /// UdpCore::on_timer() at `when`, or a bit later; replaces what was asked before.
  virtual void call_at(Instant when) = 0;
  /// The port that datagrams to `to` leave by; nullptr: there is none.
  virtual std::shared_ptr<UdpPort> port_to(const UdpEndpoint& to) = 0;
  /// UdpCore::on_resolved() with the same numbers, later or at once. `attempt`: of a name with several addresses another one each time.
  virtual void resolve(const std::string& address, std::uint64_t attempt) = 0;
  virtual void flush() = 0;
  /// "10.0.0.7:7400", "[::1]:7400".
  virtual std::string text(const UdpEndpoint& endpoint) const = 0;
  /// What a stranger cannot choose freely of its address.
  virtual std::string host(const UdpEndpoint& endpoint) const = 0;
};

}  // namespace rse
