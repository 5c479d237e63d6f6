// Transport over TCP: listens, dials with back-off, and keeps one connection with each peer (transport/handshake.h).
// Spec of the bytes: transport/tcp/framing.md.
// Encrypted by transport/secure unless TcpOptions says otherwise.
// Threads: all calls and callbacks on the io_context's single thread; callbacks come from its handlers, never from inside
// a call. Memory: kPeerQueueBytesMax each peer, and what the peer is just sending. Errors: see transport.h.
// Proof of death needs the listening socket to die with the process: it is closed on exec, and a child that is forked
// without exec has to close it.
#pragma once

#include <asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/secure/trust_book.h"
#include "transport/transport.h"

namespace rse {

struct TcpOptions {
  std::vector<std::string> listen;  // "host:port"; port 0: any free one; none: only dials
  std::chrono::milliseconds handshake_limit{2000};
  Duration spin{};  // how long a connection looks for more before it sleeps (adaptive_spin.h)
  std::shared_ptr<const TrustBook> trust{};  // null: nothing is encrypted and everyone is trusted; loopback only
  std::uint64_t seed = 0;  // of the jitter; 0: from the system
};

class TcpTransport : public Transport {
 public:
  /// One for each address listened on, in their order: of use where port 0 was asked for.
  virtual std::vector<std::uint16_t> bound_ports() const = 0;
};

/// Binds the addresses; nothing is accepted or dialled before the first set_hello(). nullptr: `error` is a sentence that
/// names the address, the cause and the next step.
std::unique_ptr<TcpTransport> make_tcp_transport(asio::io_context& loop, const TcpOptions& options,
                                                 TransportCallbacks callbacks, std::string& error);

}  // namespace rse
