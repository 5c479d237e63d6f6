#include "transport/beacon/beacon_port.h"

#include <asio/ip/v6_only.hpp>

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "transport/tcp/address.h"

namespace rse {

using asio::ip::udp;

namespace {

constexpr std::uint16_t kPort = 7401;
const asio::ip::address_v4 kGroup = asio::ip::make_address_v4("239.255.82.83");
const asio::ip::address_v6 kGroupV6 = asio::ip::make_address_v6("ff12::5253:4562");  // link-local, not assigned to anyone (RFC 4291)
constexpr int kHops = 1;            // the local network
constexpr int kDatagramsAtOnce = 16;
constexpr std::size_t kInterfacesMax = 32;

struct Listened {
  bool any = false;
  std::vector<asio::ip::address> addresses;
};

Listened parse(const std::vector<std::string>& listen) {
  Listened result;
  for (const std::string& address : listen) {
    const auto parsed = parse_network_address(address);
    if (!parsed) continue;  // shared memory
    const auto endpoint = numeric_endpoint(*parsed);
    if (parsed->host.empty() || (endpoint && endpoint->address().is_unspecified())) result.any = true;
    else if (endpoint) result.addresses.push_back(endpoint->address());
    else if (parsed->host == "localhost") result.addresses.push_back(asio::ip::address_v4::loopback());
  }
  return result;
}

std::optional<asio::ip::address> address_of(const ifaddrs& entry) {
  if (entry.ifa_addr == nullptr) return {};
  if (entry.ifa_addr->sa_family == AF_INET) {
    return asio::ip::address_v4(ntohl(reinterpret_cast<const sockaddr_in*>(entry.ifa_addr)->sin_addr.s_addr));
  }
  if (entry.ifa_addr->sa_family != AF_INET6) return {};
  const auto* const name = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr);
  asio::ip::address_v6::bytes_type bytes;
  std::copy_n(name->sin6_addr.s6_addr, bytes.size(), bytes.begin());
  return asio::ip::address_v6(bytes, name->sin6_scope_id);
}

ip_mreqn membership_v4(const BeaconInterface& interface) {
  ip_mreqn request{};
  request.imr_multiaddr.s_addr = htonl(kGroup.to_uint());
  request.imr_address.s_addr = htonl(interface.v4->to_uint());
  request.imr_ifindex = interface.index;
  return request;
}

ipv6_mreq membership_v6(const BeaconInterface& interface) {
  ipv6_mreq request{};
  const auto bytes = kGroupV6.to_bytes();
  std::copy(bytes.begin(), bytes.end(), request.ipv6mr_multiaddr.s6_addr);
  request.ipv6mr_interface = static_cast<unsigned>(interface.index);
  return request;
}

template <class T>
void set(udp::socket& socket, int level, int name, const T& value) {
  ::setsockopt(socket.native_handle(), level, name, &value, sizeof value);
}

/// The first of each family counts. Of IPv6 it is the link-local address, which every interface that has IPv6 has.
void add_address(std::vector<BeaconInterface>& all, int index, const asio::ip::address& address) {
  if (address.is_v6() && !address.to_v6().is_link_local()) return;
  auto at = std::find_if(all.begin(), all.end(), [&](const BeaconInterface& one) { return one.index == index; });
  if (at == all.end()) {
    if (all.size() >= kInterfacesMax) return;
    at = all.insert(all.end(), BeaconInterface{.index = index});
  }
  if (address.is_v4() && !at->v4) at->v4 = address.to_v4();
  if (address.is_v6() && !at->link_local) at->link_local = address.to_v6();
}

}  // namespace

std::vector<BeaconInterface> beacon_interfaces(const std::vector<std::string>& listen) {
  const Listened wanted = parse(listen);
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const auto listened_on = [&](const ifaddrs& entry) {
    const auto address = address_of(entry);
    if (!address) return false;
    const auto same = [&](const asio::ip::address& one) { return one == *address || (one.is_loopback() && address->is_loopback()); };
    return wanted.any || std::any_of(wanted.addresses.begin(), wanted.addresses.end(), same);
  };
  std::vector<std::string> names;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next)
    if (listened_on(*at)) names.emplace_back(at->ifa_name);
  std::vector<BeaconInterface> found;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    const auto address = address_of(*at);
    if (!address || (at->ifa_flags & IFF_UP) == 0) continue;
    if (std::find(names.begin(), names.end(), at->ifa_name) == names.end()) continue;
    add_address(found, static_cast<int>(::if_nametoindex(at->ifa_name)), *address);
  }
  ::freeifaddrs(list);
  return found;
}

BeaconPort::BeaconPort(asio::io_context& loop, std::vector<std::string> listen, Arrived arrived)
    : loop_(loop), listen_(std::move(listen)), arrived_(std::move(arrived)), v4_(loop), v6_(loop) {}

void BeaconPort::send(std::span<const std::byte> datagram) {
  for (const BeaconInterface& interface : beacon_interfaces(listen_)) {
    if (interface.v4) send_v4(interface, datagram);
    if (interface.link_local) send_v6(interface, datagram);
  }
}

/// By a socket of its own on each interface, bound to its address: once a second that costs nothing, and there is nothing to keep.
void BeaconPort::send_v4(const BeaconInterface& interface, std::span<const std::byte> datagram) {
  std::error_code error;
  Socket socket(loop_);
  socket.open(udp::v4(), error);
  if (!error) socket.bind({*interface.v4, 0}, error);
  if (error) return;
  set(socket, IPPROTO_IP, IP_MULTICAST_IF, membership_v4(interface));
  set(socket, IPPROTO_IP, IP_MULTICAST_TTL, kHops);
  socket.non_blocking(true, error);
  socket.send_to(asio::buffer(datagram.data(), datagram.size()), {kGroup, kPort}, 0, error);
}

void BeaconPort::send_v6(const BeaconInterface& interface, std::span<const std::byte> datagram) {
  std::error_code error;
  Socket socket(loop_);
  socket.open(udp::v6(), error);
  if (!error) socket.bind({*interface.link_local, 0}, error);
  if (error) return;
  set(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, interface.index);
  set(socket, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, kHops);
  socket.non_blocking(true, error);
  const asio::ip::address_v6 group(kGroupV6.to_bytes(), static_cast<unsigned long>(interface.index));
  socket.send_to(asio::buffer(datagram.data(), datagram.size()), {group, kPort}, 0, error);
}

void BeaconPort::refresh() {
  if (!v4_.is_open()) open_v4();
  if (!v6_.is_open()) open_v6();
  // One that is joined already says so, and nothing changes.
  for (const BeaconInterface& interface : beacon_interfaces(listen_)) {
    if (interface.v4 && v4_.is_open()) set(v4_, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership_v4(interface));
    if (interface.link_local && v6_.is_open()) set(v6_, IPPROTO_IPV6, IPV6_JOIN_GROUP, membership_v6(interface));
  }
}

void BeaconPort::open_v4() {
  std::error_code error;
  v4_.open(udp::v4(), error);
  if (error) return;
  ::fcntl(v4_.native_handle(), F_SETFD, FD_CLOEXEC);
  v4_.set_option(Socket::reuse_address(true), error);  // other nodes of this machine hear, too
  set(v4_, IPPROTO_IP, IP_MULTICAST_ALL, 0);           // only from interfaces that this one has joined on
  v4_.non_blocking(true, error);
  v4_.bind({kGroup, kPort}, error);
  if (error) v4_.close(error);
  else wait(v4_);
}

/// Not bound to the group, which would need a socket for each interface: receive() looks at where a datagram comes from.
void BeaconPort::open_v6() {
  std::error_code error;
  v6_.open(udp::v6(), error);
  if (error) return;  // a machine without IPv6
  ::fcntl(v6_.native_handle(), F_SETFD, FD_CLOEXEC);
  v6_.set_option(Socket::reuse_address(true), error);
  v6_.set_option(asio::ip::v6_only(true), error);
  set(v6_, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
  v6_.non_blocking(true, error);
  v6_.bind({asio::ip::address_v6::any(), kPort}, error);
  if (error) v6_.close(error);
  else wait(v6_);
}

void BeaconPort::stop_listening() {
  std::error_code ignored;
  v4_.close(ignored);
  v6_.close(ignored);
}

void BeaconPort::wait(Socket& socket) {
  socket.async_wait(Socket::wait_read, [self = shared_from_this(), &socket](const std::error_code& error) {
    if (error || !socket.is_open()) return;
    self->receive(socket);
    if (socket.is_open()) self->wait(socket);
  });
}

void BeaconPort::receive(Socket& socket) {
  for (int count = 0; count < kDatagramsAtOnce && socket.is_open(); ++count) {
    udp::endpoint from;
    std::error_code none;
    const std::size_t size = socket.receive_from(asio::buffer(buffer_), from, 0, none);
    if (none) return;
    // No router forwards what a link-local address has sent: it is from this network, whatever it was sent to.
    if (from.address().is_v6() && !from.address().to_v6().is_link_local()) continue;
    arrived_(from.address(), std::span<const std::byte>(buffer_).first(size));
  }
}

}  // namespace rse
