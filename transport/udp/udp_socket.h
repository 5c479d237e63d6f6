// A UDP socket that reads and writes many datagrams by one call where the kernel can (segmentation offload), and that hears
// which of its datagrams were refused. Threads: the event loop's. Memory: a buffer of 256 KiB for what comes, and what waits for
// flush(). Errors: a datagram that cannot be sent is lost, as on the network.
#pragma once

#include <sys/socket.h>

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "transport/adaptive_spin.h"
#include "transport/udp/udp_system.h"

namespace rse {

UdpEndpoint to_udp(const asio::ip::udp::endpoint& endpoint);
asio::ip::udp::endpoint to_asio(const UdpEndpoint& endpoint);

class UdpSocket final : public UdpPort {
 public:
  using Endpoint = asio::ip::udp::endpoint;
  struct Hooks {
    std::function<void(UdpSocket&, const UdpEndpoint& from, Instant now, std::span<const std::byte> datagram)> arrived;
    /// Nothing listens there; `datagram` is the beginning of what was sent.
    std::function<void(std::span<const std::byte> datagram)> refused;
    std::function<void()> batch_ended;  // after any of the two
  };
  UdpSocket(asio::io_context& loop, Duration spin, Hooks hooks);
  ~UdpSocket() override { close(); }
  /// Empty error: bound, to one family only.
  std::error_code open(const Endpoint& own);
  void start();
  void close();

  std::byte* room(const UdpEndpoint& to, std::size_t size_max) override;
  void queue(std::size_t size) override;
  void flush();
  Endpoint own() const;

 private:
  std::shared_ptr<UdpSocket> self() { return std::static_pointer_cast<UdpSocket>(shared_from_this()); }
  void wait();
  void go_on();
  void read_all();
  int read_batch(std::size_t most);
  void hand_over(msghdr& header, std::span<const std::byte> bytes);
  void read_errors();
  void send_run(std::size_t first, std::size_t count, std::size_t begin, std::size_t end);

  struct Queued {
    UdpEndpoint to;
    std::size_t size;
  };
  asio::ip::udp::socket socket_;
  Hooks hooks_;
  AdaptiveSpin spin_;
  Bytes received_;
  Instant arrived_at_{};        // when the last datagram was taken
  Bytes outgoing_;              // the bytes of queued_, one after the other
  std::size_t outgoing_size_ = 0;
  std::vector<Queued> queued_;
  UdpEndpoint room_for_;
  bool segments_ = true;        // the kernel has not refused them yet
  bool refusals_hinted_ = false;
  bool closed_ = false;
};

}  // namespace rse
