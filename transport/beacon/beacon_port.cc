#include "transport/beacon/beacon_port.h"

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
    const auto parsed = parse_host_port(address.starts_with("udp:") ? address.substr(4) : address);
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
  asio::ip::address_v6::bytes_type bytes;
  const auto* const from = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr.s6_addr;
  std::copy_n(from, bytes.size(), bytes.begin());
  return asio::ip::address_v6(bytes);
}

ip_mreqn membership(const BeaconInterface& interface) {
  ip_mreqn request{};
  request.imr_multiaddr.s_addr = htonl(kGroup.to_uint());
  request.imr_address.s_addr = htonl(interface.address.to_uint());
  request.imr_ifindex = interface.index;
  return request;
}

template <class T>
void set(udp::socket& socket, int level, int name, const T& value) {
  ::setsockopt(socket.native_handle(), level, name, &value, sizeof value);
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
  for (const ifaddrs* at = list; at != nullptr && found.size() < kInterfacesMax; at = at->ifa_next) {
    const auto address = address_of(*at);
    const auto index = static_cast<int>(::if_nametoindex(at->ifa_name));
    if (!address || !address->is_v4() || (at->ifa_flags & IFF_UP) == 0) continue;
    if (std::find(names.begin(), names.end(), at->ifa_name) == names.end()) continue;
    const bool known = std::any_of(found.begin(), found.end(), [&](const BeaconInterface& one) { return one.index == index; });
    if (!known) found.push_back({index, address->to_v4()});
  }
  ::freeifaddrs(list);
  return found;
}

BeaconPort::BeaconPort(asio::io_context& loop, std::vector<std::string> listen, Arrived arrived)
    : loop_(loop), listen_(std::move(listen)), arrived_(std::move(arrived)), socket_(loop) {}

/// By a socket of its own on each interface, bound to its address: once a second that costs nothing, and there is nothing to keep.
void BeaconPort::send(std::span<const std::byte> datagram) {
  for (const BeaconInterface& interface : beacon_interfaces(listen_)) {
    std::error_code error;
    udp::socket socket(loop_);
    socket.open(udp::v4(), error);
    if (!error) socket.bind({interface.address, 0}, error);
    if (error) continue;
    set(socket, IPPROTO_IP, IP_MULTICAST_IF, membership(interface));
    set(socket, IPPROTO_IP, IP_MULTICAST_TTL, kHops);
    socket.non_blocking(true, error);
    socket.send_to(asio::buffer(datagram.data(), datagram.size()), {kGroup, kPort}, 0, error);
  }
}

void BeaconPort::refresh() {
  if (!socket_.is_open()) {
    std::error_code error;
    socket_.open(udp::v4(), error);
    if (error) return;
    ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
    socket_.set_option(udp::socket::reuse_address(true), error);  // other nodes of this machine hear, too
    set(socket_, IPPROTO_IP, IP_MULTICAST_ALL, 0);                // only from interfaces that this one has joined on
    socket_.non_blocking(true, error);
    socket_.bind({kGroup, kPort}, error);
    if (error) return stop_listening();
    wait();
  }
  // One that is joined already says so, and nothing changes.
  for (const BeaconInterface& interface : beacon_interfaces(listen_)) set(socket_, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership(interface));
}

void BeaconPort::stop_listening() {
  std::error_code ignored;
  socket_.close(ignored);
}

void BeaconPort::wait() {
  socket_.async_wait(udp::socket::wait_read, [self = shared_from_this()](const std::error_code& error) {
    if (error || !self->socket_.is_open()) return;
    for (int count = 0; count < kDatagramsAtOnce && self->socket_.is_open(); ++count) {
      udp::endpoint from;
      std::error_code none;
      const std::size_t size = self->socket_.receive_from(asio::buffer(self->buffer_), from, 0, none);
      if (none) break;
      self->arrived_(from.address(), std::span<const std::byte>(self->buffer_).first(size));
    }
    if (self->socket_.is_open()) self->wait();
  });
}

}  // namespace rse
