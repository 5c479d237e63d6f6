// The machine as a host on an IPv4 network: Ethernet, ARP, ICMP echo, UDP and DHCP by lwIP, over the virtio card.
// Size: pools of fixed size (lwip/lwipopts.h). Threads: one; interrupts only wake the processor. Memory: see there, for good.
// Errors: sentences at start; a datagram that cannot be sent or kept is lost, as on any network. One object in a kernel's life.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "guest_kernel/drivers/virtio_net.h"
#include "torus/base/bytes.h"
#include "torus/base/strong.h"

namespace rse::kernel {

struct Ipv4 {
  std::array<std::uint8_t, 4> bytes{};
  friend bool operator==(const Ipv4&, const Ipv4&) = default;
};

class Network {
 public:
  struct Options {
    std::optional<Ipv4> own;  // none: a DHCP server gives address, mask and gateway
    unsigned prefix_bits = 24;
    std::optional<Ipv4> gateway;
  };
  using Arrived = std::function<void(Ipv4 from, std::uint16_t port, std::span<const std::byte> datagram)>;

  Network() = default;
  ~Network();  // the card goes on writing to its buffers; only for tests, which end the run
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  /// nullptr, or why there is no network.
  const char* start(const Options& options);
  /// `woken` is called when something has come, with interrupts off; without it the interrupt only wakes the processor.
  void on_frame(InterruptHandler woken, void* context);
  /// The datagrams to `port` from now on; 0: to a free one. The port, or 0: none is left.
  std::uint16_t listen(std::uint16_t port, Arrived arrived);
  /// From the port listened on. False: lost at once.
  bool send(Ipv4 to, std::uint16_t port, std::span<const std::byte> datagram);

  /// Hands over what has come and does what is due. True: there may be more.
  bool turn();
  /// When turn() has to be called again although nothing comes.
  Instant next_deadline() const;
  /// Whether something has come since the last turn(): to be asked with interrupts off, before the processor sleeps.
  bool has_frame() const { return card_.has_frame(); }
  /// None yet: the DHCP server has not answered.
  std::optional<Ipv4> own() const;

 private:
  struct Lwip;
  VirtioNet card_;
  Lwip* lwip_ = nullptr;
  Arrived arrived_;
  InterruptHandler woken_ = nullptr;
  void* woken_context_ = nullptr;
};

std::optional<Ipv4> parse_ipv4(std::string_view text);
std::string to_text(Ipv4 address);

}  // namespace rse::kernel
