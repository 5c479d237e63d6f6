// Transport over UDP: one socket for each address listened on, sessions with peers over it (datagram_link.h), encrypted like
// TCP (transport/secure), the same rules on which session is the link (transport/handshake.h). Spec of the bytes: udp.md.
// Threads: all calls and callbacks on the io_context's single thread; callbacks come from its handlers, never from inside a
// call. Memory: each peer's queue and receive window are bounded; strangers cost nothing before their address is proved, then
// at most kUdpHandshakesMax unfinished handshakes. Errors: see transport.h.
// Proof of death: the machine answers one of our records with "nothing listens there", and the answer quotes the record.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/secure/trust_book.h"
#include "transport/transport.h"

namespace rse {

struct UdpOptions {
  std::vector<std::string> listen;  // "udp:host:port"; port 0: any free one; none: only dials
  std::chrono::milliseconds handshake_limit{2000};
  std::optional<asio::ip::udp::endpoint> stun{};  // server to be asked again and again, so that the way in through a NAT stays open
  Duration spin{};  // how long a socket looks for the next datagram before it sleeps (adaptive_spin.h)
  std::shared_ptr<const TrustBook> trust{};  // null: nothing is encrypted and everyone is trusted; loopback only
};

class UdpTransport : public Transport {
 public:
  /// One for each address listened on, in their order.
  virtual std::vector<std::uint16_t> bound_ports() const = 0;
};

inline constexpr const char* kUdpScheme = "udp";

/// Binds the addresses; nothing is answered or dialled before the first set_hello(). nullptr: `error` is a sentence that
/// names the address, the cause and the next step.
std::unique_ptr<UdpTransport> make_udp_transport(asio::io_context& loop, const UdpOptions& options,
                                                 TransportCallbacks callbacks, std::string& error);

}  // namespace rse
