// Transport between endpoints of one process, for tests: the handshake's rules without sockets, and links that a test can
// cut. Messages are delivered from the event loop, in order, whole.
// Threads: the event loop's. Memory: as TCP, 64 MiB queued each direction of a link. Errors: see transport.h.
#pragma once

#include <asio/io_context.hpp>

#include <memory>
#include <string>

#include "transport/transport.h"

namespace rse {

/// The network: endpoints with names that they dial. Destroying an endpoint is the death of its process: its peers hear
/// of it with proof. Endpoints may outlive the hub; the io_context outlives both.
class InProcessHub {
 public:
  explicit InProcessHub(asio::io_context& loop, std::size_t queue_bytes_max = 64u << 20);
  ~InProcessHub();
  /// `address` is what others dial. It takes part from its first set_hello() on.
  std::unique_ptr<Transport> make_endpoint(const std::string& address, TransportCallbacks callbacks);
  /// Breaks the link between two addresses, and keeps it broken; both hear of a close without proof.
  void cut(const std::string& a, const std::string& b);
  void heal(const std::string& a, const std::string& b);

 private:
  struct State;
  friend class InProcessEndpoint;
  std::shared_ptr<State> state_;
};

}  // namespace rse
