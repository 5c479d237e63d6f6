#include "guest_kernel/node/udp_carrier.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/node/log.h"
#include "transport/host_port.h"
#include "transport/udp/udp_core.h"

namespace rse::kernel {
namespace {

constexpr Duration kAddressLimit = milliseconds(30'000);  // DHCP asks again after 2, 4, 8 and 16 s
constexpr Instant kNever{std::numeric_limits<std::uint64_t>::max()};

UdpEndpoint endpoint_of(Ipv4 address, std::uint16_t port) {
  UdpEndpoint endpoint;
  std::copy(address.bytes.begin(), address.bytes.end(), endpoint.address.begin());
  endpoint.port = port;
  return endpoint;
}

Ipv4 address_of(const UdpEndpoint& endpoint) {
  Ipv4 address;
  std::copy_n(endpoint.address.begin(), address.bytes.size(), address.bytes.begin());
  return address;
}

/// "udp:10.0.0.7:7400"; nullopt: no number, or a place that only its own machine reaches.
std::optional<UdpEndpoint> parse_endpoint(const std::string& address) {
  const std::string_view prefix = kUdpPrefix;
  if (!address.starts_with(prefix)) return std::nullopt;
  const auto parsed = parse_host_port(address.substr(prefix.size()));
  if (!parsed) return std::nullopt;
  const auto host = parse_ipv4(parsed->host);
  constexpr std::uint8_t kLoopback = 127;
  if (!host || host->bytes[0] == kLoopback || parsed->port == 0) return std::nullopt;
  return endpoint_of(*host, parsed->port);
}

/// What goes is kept until flush().
class GuestPort final : public UdpPort {
 public:
  explicit GuestPort(Network& network) : network_(network) {}
  std::byte* room(const UdpEndpoint& to, std::size_t size_max) override {
    if (count_ == queued_.size()) queued_.emplace_back();
    Queued& datagram = queued_[count_];
    datagram.to = to;
    if (datagram.room.size() < size_max) datagram.room.resize(size_max);
    return datagram.room.data();
  }
  void queue(std::size_t size) override {
    queued_[count_].size = size;
    if (++count_ == kQueuedMax) flush();
  }
  void flush() {
    for (std::size_t i = 0; i < count_; ++i) {
      const Queued& datagram = queued_[i];
      network_.send(address_of(datagram.to), datagram.to.port, std::span(datagram.room).first(datagram.size));
    }
    count_ = 0;
  }

 private:
  static constexpr std::size_t kQueuedMax = 64;
  struct Queued {
    UdpEndpoint to;
    Bytes room;
    std::size_t size = 0;
  };
  Network& network_;
  std::vector<Queued> queued_;  // their memory is used again
  std::size_t count_ = 0;
};

class UdpCarrier final : public Carrier, private UdpSystem {
 public:
  UdpCarrier(Network& network, std::vector<std::string> peers, std::shared_ptr<const TrustBook> trust)
      : network_(network), port_(std::make_shared<GuestPort>(network)), peers_(std::move(peers)), trust_(std::move(trust)) {}

  bool listen(std::uint16_t port) {
    return network_.listen(port, [this](Ipv4 from, std::uint16_t from_port, std::span<const std::byte> datagram) {
      if (core_) core_->on_datagram(*port_, endpoint_of(from, from_port), now(), datagram);
      arrived_ = true;
    }) != 0;
  }

  const char* start(const Hello& hello, TransportCallbacks callbacks, InterruptHandler woken, void* context) override {
    network_.on_frame(woken, context);
    core_.emplace(static_cast<UdpSystem&>(*this), UdpCore::Options{.trust = trust_}, std::move(callbacks));
    core_->set_hello(hello);
    dial({});
    return nullptr;
  }
  bool turn() override {
    const bool more = network_.turn();
    if (std::exchange(arrived_, false)) core_->on_batch_end();
    if (now() >= timer_) {
      timer_ = kNever;
      core_->on_timer();
    }
    if (std::exchange(soon_, false)) core_->on_soon();
    return more || soon_;
  }
  bool may_sleep(bool) override { return !soon_ && !network_.has_frame(); }
  Instant next_deadline() const override { return std::min(timer_, network_.next_deadline()); }
  void send(NodeId to, std::span<const SharedBytes> parts, Urgency urgency) override {
    const bool in_order = urgency == Urgency::kInOrder || urgency == Urgency::kNoHurry;
    static_cast<void>(in_order ? core_->send(to, parts) : core_->send_at_once(to, parts));
  }
  bool has_room(NodeId to) const override { return core_->has_room(to); }
  void set_hello(const Hello& hello) override { core_->set_hello(hello); }
  void set_trust(std::shared_ptr<const TrustBook> book) override { core_->set_trust(std::move(book)); }

  void dial(const std::set<std::string>& members) override {
    std::set<std::string> wanted(peers_.begin(), peers_.end());
    for (const std::string& address : members) {
      if (parse_endpoint(address)) wanted.insert(address);  // the others are of transports that a guest has not
    }
    for (const std::string& address : dialled_) {
      if (!wanted.contains(address)) core_->undial(address);
    }
    for (const std::string& address : wanted) {
      if (!dialled_.contains(address)) core_->dial(address);
    }
    dialled_ = std::move(wanted);
  }

 private:
  // --- What the core is told. ---
  Instant now() const override { return rse::kernel::now(); }
  void call_soon() override { soon_ = true; }
  void call_at(Instant when) override { timer_ = when; }
  std::shared_ptr<UdpPort> port_to(const UdpEndpoint& to) override { return to.v6 ? nullptr : port_; }
  void resolve(const std::string& address, std::uint64_t attempt) override {
    core_->on_resolved(address, attempt, parse_endpoint(address),
                       "cannot reach " + address + ": a guest knows no names and only IPv4; write for example udp:10.0.0.7:7400");
  }
  void flush() override { port_->flush(); }
  std::string text(const UdpEndpoint& endpoint) const override { return host(endpoint) + ":" + std::to_string(endpoint.port); }
  std::string host(const UdpEndpoint& endpoint) const override { return to_text(address_of(endpoint)); }

  Network& network_;
  std::shared_ptr<GuestPort> port_;
  const std::vector<std::string> peers_;
  std::set<std::string> dialled_;
  std::shared_ptr<const TrustBook> trust_;
  std::optional<UdpCore> core_;
  bool arrived_ = false, soon_ = false;
  Instant timer_ = kNever;
};

std::optional<Network::Options> network_of(const Options& options, std::string& why) {
  Network::Options network;
  if (options.ip.empty()) return network;
  const std::size_t slash = std::min(options.ip.find('/'), options.ip.size());
  network.own = parse_ipv4(options.ip.substr(0, slash));
  const std::string_view bits = options.ip.substr(std::min(slash + 1, options.ip.size()));
  network.prefix_bits = 0;
  for (const char digit : bits) network.prefix_bits = digit < '0' || digit > '9' ? 99 : network.prefix_bits * 10 + static_cast<unsigned>(digit - '0');
  if (!network.own || bits.empty() || bits.size() > 2 || network.prefix_bits > 32) {
    why = "kernel option ip cannot be \"" + std::string(options.ip) + "\"; give an address and the bits of its network, such as 10.0.2.15/24";
    return std::nullopt;
  }
  if (options.gateway.empty()) return network;
  network.gateway = parse_ipv4(options.gateway);
  if (network.gateway) return network;
  why = "kernel option gateway cannot be \"" + std::string(options.gateway) + "\"; give an address such as 10.0.2.2";
  return std::nullopt;
}

/// Until the server has given an address, or it is too late.
bool wait_for_address(Network& network) {
  for (const Instant end = now() + kAddressLimit; !network.own();) {
    if (now() >= end) return false;
    if (network.turn()) continue;
    disable_interrupts();
    if (!network.has_frame()) {
      set_alarm(network.next_deadline());
      enable_interrupts_and_halt();
    }
    enable_interrupts();
  }
  return true;
}

std::vector<std::string> peers_of(const Options& options, const TrustBook* trust) {
  std::vector<std::string> peers;
  for (std::size_t i = 0; i < options.peer_count; ++i) {
    const std::string peer(options.peers[i]);
    peers.push_back(peer.starts_with(kUdpPrefix) ? peer : kUdpPrefix + peer);
  }
  if (trust == nullptr || !trust->ticket) return peers;
  for (const std::string& address : trust->ticket->addresses) {
    if (parse_endpoint(address)) peers.push_back(address);
  }
  return peers;
}

}  // namespace

std::unique_ptr<Carrier> make_udp_carrier(const Options& options, std::shared_ptr<const TrustBook> trust, std::string& own_address,
                                          std::string& why) {
  static Network network;
  const auto network_options = network_of(options, why);
  if (!network_options) return nullptr;
  if (const char* const wrong = network.start(*network_options)) {
    why = wrong;
    return nullptr;
  }
  if (!wait_for_address(network)) {
    why = "no DHCP server has given an address in 30 s; give ip=ADDRESS/BITS and gateway=ADDRESS";
    return nullptr;
  }
  const std::string place = to_text(*network.own()) + ":" + std::to_string(options.listen);
  own_address = kUdpPrefix + (options.advertise.empty() ? place : std::string(options.advertise));
  std::vector<std::string> peers = peers_of(options, trust.get());
  if (peers.empty() && options.found == 0) {
    why = "there is nobody to join: give peer=ADDRESS:PORT, or a ticket that has an address over udp (rse ticket create)";
    return nullptr;
  }
  auto carrier = std::make_unique<UdpCarrier>(network, std::move(peers), std::move(trust));
  if (!carrier->listen(static_cast<std::uint16_t>(options.listen))) {
    why = "there is no memory for a port";
    return nullptr;
  }
  log_line("node: network own=", std::string_view(place), " advertised=", std::string_view(own_address));
  return carrier;
}

}  // namespace rse::kernel
