// Several transports as one: addresses go to the transport of their scheme, and of the links that a peer has over several
// the best one that works carries what we send (link_choice.h). Switching is silent: on_down comes when the last link is gone.
// It looks at the links when something is sent at once (a heartbeat), and sends that over the others too, now and then: so it is
// known which of them would do.
// An address is "scheme:rest", e.g. "ivshmem:rse"; one without a known scheme belongs to the transport without a name (TCP:
// "host:port"). A transport gets its addresses whole.
// Threads: the event loop's. Memory: small. Errors: those of the transports.
// Invariant: what is above sees one link with each life of a peer. Across a switch messages may overtake each other, as
// across a reconnection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "transport/mux/link_choice.h"
#include "transport/transport.h"

namespace rse {

class MuxTransport final : public Transport {
 public:
  using Make = std::function<std::unique_ptr<Transport>(TransportCallbacks callbacks, std::string& error)>;

  using Clock = std::function<Instant()>;

  /// `clock`: monotonic.
  explicit MuxTransport(TransportCallbacks callbacks, Clock clock = {});
  ~MuxTransport() override;
  /// Adds a transport; the first added is the first used. `scheme` empty: takes every address that no other does.
  /// Empty: done; otherwise what `make` said. Before set_hello().
  std::string add(const std::string& scheme, const Make& make);

  void set_hello(const Hello& hello) override;
  void set_trust(std::shared_ptr<const TrustBook> book) override;
  void dial(const std::string& address) override;
  void undial(const std::string& address) override;
  SendResult send_parts(NodeId peer, std::span<const SharedBytes> parts) override;
  SendResult send_at_once(NodeId peer, std::span<const SharedBytes> parts) override;
  bool has_room(NodeId peer) const override;
  std::optional<LinkProgress> progress(NodeId peer) const override;
  void disconnect(NodeId peer) override;
  /// Of one peer: first the link in use.
  void on_addresses_changed() override;
  std::vector<LinkStats> stats() const override;
  void stop() override;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

/// The part of `address` before its first colon when it is one of the schemes that RSE knows, else empty.
std::string scheme_of(const std::string& address);

}  // namespace rse
