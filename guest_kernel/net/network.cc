#include "guest_kernel/net/network.h"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>
#include <netif/ethernet.h>

#include <algorithm>
#include <cstring>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/runtime/panic.h"
#include "guest_kernel/runtime/print.h"
#include "torus/base/random.h"

namespace rse::kernel {
namespace {

constexpr std::uint16_t kMtu = 1500;
constexpr int kFramesAtOnce = 64;  // then others have their turn

ip4_addr_t to_lwip(Ipv4 address) {
  ip4_addr_t out;
  std::memcpy(&out.addr, address.bytes.data(), address.bytes.size());  // both in the network's order
  return out;
}

Ipv4 from_lwip(const ip4_addr_t& address) {
  Ipv4 out;
  std::memcpy(out.bytes.data(), &address.addr, out.bytes.size());
  return out;
}

err_t send_frame(netif* interface, pbuf* frame) {
  auto* const card = static_cast<VirtioNet*>(interface->state);
  if (frame->next != nullptr) return ERR_IF;  // LWIP_NETIF_TX_SINGLE_PBUF: there is none such
  const std::span bytes(static_cast<const std::byte*>(frame->payload), frame->len);
  return card->send(bytes) ? ERR_OK : ERR_MEM;
}

err_t set_up(netif* interface) {
  const auto& address = static_cast<VirtioNet*>(interface->state)->address();
  interface->name[0] = 'v';
  interface->name[1] = 'n';
  interface->hwaddr_len = ETH_HWADDR_LEN;
  std::copy(address.begin(), address.end(), interface->hwaddr);
  interface->mtu = kMtu;
  interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
  interface->output = etharp_output;
  interface->linkoutput = send_frame;
  return ERR_OK;
}

}  // namespace

struct Network::Lwip {
  netif interface {};
  udp_pcb* port = nullptr;
  std::array<std::byte, kEthernetBytesMax> frame;
  Bytes datagram;
};

Network::~Network() {
  if (lwip_ != nullptr) panic("network", "the card goes on writing to it");
}

const char* Network::start(const Options& options) {
  const InterruptHandler woken = [](Frame& frame, void* self) {
    const Network& network = *static_cast<Network*>(self);
    if (network.woken_ != nullptr) network.woken_(frame, network.woken_context_);
  };
  if (const char* const wrong = card_.start(woken, this)) return wrong;
  if (!card_.wakes()) return "the network card has no interrupts of its own (MSI-X); give it its modern interface";
  lwip_init();
  lwip_ = new Lwip;
  netif* const interface = &lwip_->interface;
  const ip4_addr_t none{};
  if (options.own) {
    const ip4_addr_t own = to_lwip(*options.own), gateway = options.gateway ? to_lwip(*options.gateway) : none;
    const ip4_addr_t mask{.addr = lwip_htonl(options.prefix_bits == 0 ? 0 : ~std::uint32_t{0} << (32 - options.prefix_bits))};
    netif_add(interface, &own, &mask, &gateway, &card_, set_up, ethernet_input);
  } else {
    netif_add(interface, &none, &none, &none, &card_, set_up, ethernet_input);
  }
  netif_set_hostname(interface, "rse");
  netif_set_default(interface);
  netif_set_up(interface);
  if (!options.own && dhcp_start(interface) != ERR_OK) return "there is no memory for DHCP";
  return nullptr;
}

void Network::on_frame(InterruptHandler woken, void* context) {
  const InterruptsOff off;
  woken_ = woken;
  woken_context_ = context;
}

std::uint16_t Network::listen(std::uint16_t port, Arrived arrived) {
  arrived_ = std::move(arrived);
  udp_pcb* const pcb = udp_new();
  if (pcb == nullptr || udp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK) return 0;
  lwip_->port = pcb;
  const auto receive = [](void* self, udp_pcb*, pbuf* datagram, const ip_addr_t* from, u16_t from_port) {
    Network& network = *static_cast<Network*>(self);
    Bytes& bytes = network.lwip_->datagram;
    bytes.resize(datagram->tot_len);
    pbuf_copy_partial(datagram, bytes.data(), datagram->tot_len, 0);
    pbuf_free(datagram);
    network.arrived_(from_lwip(*from), from_port, bytes);
  };
  udp_recv(pcb, receive, this);
  return pcb->local_port;
}

bool Network::send(Ipv4 to, std::uint16_t port, std::span<const std::byte> datagram) {
  if (datagram.size() > kMtu) return false;  // headers are counted where they are added
  pbuf* const buffer = pbuf_alloc(PBUF_TRANSPORT, static_cast<u16_t>(datagram.size()), PBUF_RAM);
  if (buffer == nullptr) return false;
  std::memcpy(buffer->payload, datagram.data(), datagram.size());
  const ip_addr_t address = to_lwip(to);
  const err_t result = udp_sendto(lwip_->port, buffer, &address, port);
  pbuf_free(buffer);
  return result == ERR_OK;
}

bool Network::turn() {
  sys_check_timeouts();
  for (int count = 0; count < kFramesAtOnce; ++count) {
    const std::size_t size = card_.receive(lwip_->frame);
    if (size == 0) return false;
    pbuf* const frame = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(size), PBUF_POOL);
    if (frame == nullptr) continue;  // lost
    pbuf_take(frame, lwip_->frame.data(), static_cast<u16_t>(size));
    if (lwip_->interface.input(frame, &lwip_->interface) != ERR_OK) pbuf_free(frame);
  }
  return true;
}

Instant Network::next_deadline() const { return now() + milliseconds(sys_timeouts_sleeptime()); }

std::optional<Ipv4> Network::own() const {
  const ip4_addr_t* const address = netif_ip4_addr(&lwip_->interface);
  if (ip4_addr_isany(address)) return std::nullopt;
  return from_lwip(*address);
}

std::optional<Ipv4> parse_ipv4(std::string_view text) {
  Ipv4 out;
  for (std::size_t i = 0; i < out.bytes.size(); ++i) {
    const std::size_t dot = i + 1 < out.bytes.size() ? text.find('.') : text.size();
    if (dot == 0 || dot > 3) return std::nullopt;
    unsigned value = 0;
    for (const char digit : text.substr(0, dot)) {
      if (digit < '0' || digit > '9') return std::nullopt;
      value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    if (value > 255) return std::nullopt;
    out.bytes[i] = static_cast<std::uint8_t>(value);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return out;
}

std::string to_text(Ipv4 address) {
  std::string text;
  for (const std::uint8_t byte : address.bytes) text += (text.empty() ? "" : ".") + std::to_string(byte);
  return text;
}

}  // namespace rse::kernel

extern "C" {

void rse_lwip_assertion_failed(const char* what, const char* file, int line) {
  rse::kernel::print_line("\n", file, ":", line, ": lwIP: ", what);
  rse::kernel::panic("lwIP", what);
}

/// Numbers of DHCP's questions and of packets: they have to differ between machines and starts.
uint32_t rse_lwip_random(void) {
  static rse::Random random(rse::kernel::read_tsc());
  return random.below(~std::uint32_t{0});
}

u32_t sys_now(void) { return static_cast<u32_t>(rse::kernel::now().raw / 1'000'000); }

}  // extern "C"
