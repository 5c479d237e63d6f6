// The local network: a member says there where it is (transport/beacon), and a node that has no link looks for its cluster's members
// there. What it hears only adds addresses to those that are dialled.
// Threads: the event loop's. Memory: bounded. Errors: sentences, by way of `failed`.
#pragma once

#include <asio/io_context.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "torus/braid/view.h"
#include "transport/beacon/beacon_port.h"
#include "transport/handshake_gate.h"

namespace rse {

class Discovery {
 public:
  struct Hooks {
    std::function<void(const Beacon&)> found;              // a member that was not heard before
    std::function<void(const std::string& why)> failed;
  };
  /// `listen`: addresses of this node, which say on which interfaces.
  Discovery(asio::io_context& loop, std::vector<std::string> listen, Hooks hooks);
  ~Discovery() { port_->stop_listening(); }
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  /// Several times a second. `book` is null in an open cluster, which has no beacons.
  void tick(Instant now, std::shared_ptr<const TrustBook> book, const Member& self, bool linked);
  /// To be dialled, besides others.
  std::set<std::string> addresses() const;

 private:
  struct Heard {
    std::vector<std::string> addresses;
    Instant at{};
  };
  void on_datagram(const asio::ip::address& from, std::span<const std::byte> datagram);
  void say(const Member& self);

  Hooks hooks_;
  std::shared_ptr<BeaconPort> port_;
  HandshakeGate gate_;
  BeaconJudge judge_;
  std::shared_ptr<const TrustBook> book_;  // null: does not look for anybody
  NodeId self_{};
  Instant now_{}, next_said_{}, next_refresh_{};
  std::map<NodeId, Heard> heard_;
};

}  // namespace rse
