// Keeps one address dialled: resolves it, tries each endpoint, and waits longer after each failure.
// Waits: from kBackOffStart, doubling to kBackOffMax, each drawn from its upper half so that nodes that died together
// do not dial together; start again after a success.
// Threads: the event loop's. Memory: small. Errors: Hooks::failed, as often as they happen.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "torus/base/random.h"
#include "torus/base/strong.h"

namespace rse {

inline constexpr std::chrono::milliseconds kBackOffStart{2};
inline constexpr std::chrono::milliseconds kBackOffMax{1000};
/// For resolving a name, and for each connection attempt.
inline constexpr std::chrono::milliseconds kConnectLimit{2000};

using ConnectDone = std::function<void(const std::error_code&, asio::ip::tcp::socket)>;
/// Connects to one endpoint; timed_out after kConnectLimit. `done` is called once, from the event loop.
void connect(asio::io_context& loop, const asio::ip::tcp::endpoint& endpoint, ConnectDone done);

class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  struct Hooks {
    std::function<void(Dialer&, asio::ip::tcp::socket)> connected;
    std::function<void(const asio::ip::tcp::endpoint&)> refused;  // ECONNREFUSED, before `failed`
    std::function<void(Dialer&, const std::string& why)> failed;
    std::function<bool(NodeId)> linked;                           // whether dialling that node is pointless now
  };
  Dialer(asio::io_context& loop, std::string address, std::uint64_t seed, Hooks hooks);

  /// Tries at once unless an attempt is under way.
  void start();
  /// Tries again after the back-off.
  void retry();
  /// The link to `node`, which this address leads to, is up: rest until wake().
  void succeeded(NodeId node);
  /// The link is down: dial soon.
  void wake();
  void stop();

  const std::string& address() const { return address_; }
  NodeId node() const { return node_; }

 private:
  void attempt();
  void resolve();
  void try_endpoints(std::vector<asio::ip::tcp::endpoint> endpoints, std::size_t index);
  void fail(const std::string& why);

  asio::io_context& loop_;
  std::string address_;
  Hooks hooks_;
  Random random_;
  asio::steady_timer timer_;
  asio::ip::tcp::resolver resolver_;
  std::chrono::nanoseconds wait_ = kBackOffStart;
  NodeId node_;               // last seen at this address; 0: none yet
  std::uint64_t attempt_ = 0; // what belongs to an older one is ignored
  bool under_way_ = false;
  bool stopped_ = false;
};

}  // namespace rse
