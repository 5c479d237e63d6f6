#include "transport/address_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace rse {
namespace {

constexpr int kHintsAtOnce = 64;  // then other handlers of the loop have their turn

std::string failure_text() {
  return std::string("cannot watch this machine's addresses: ") + std::strerror(errno) +
         "; a change of them will not be noticed: let this process open netlink sockets, or start the node again after a change";
}

}  // namespace

std::string AddressWatch::start() {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (socket < 0) return failure_text();
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) {
    const std::string why = failure_text();
    ::close(socket);
    return why;
  }
  socket_.assign(socket);
  wait();
  return {};
}

void AddressWatch::stop() {
  std::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  changed_ = nullptr;
}

void AddressWatch::wait() {
  socket_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](const std::error_code& error) {
    if (error || !self->socket_.is_open()) return;
    self->drain();
    self->hint();
    self->wait();
  });
}

void AddressWatch::drain() {
  std::array<std::byte, 64> head;  // the kernel drops the rest
  for (int count = 0; count < kHintsAtOnce; ++count) {
    const ssize_t got = ::recv(socket_.native_handle(), head.data(), head.size(), 0);
    if (got < 0 && errno != ENOBUFS && errno != EINTR) return;
  }
}

void AddressWatch::hint() {
  const auto now = std::chrono::steady_clock::now();
  if (!latest_) latest_ = now + kAddressBurstMax;
  timer_.expires_at(std::min(now + kAddressQuiet, *latest_));
  timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (cancelled || !self->changed_) return;
    self->latest_.reset();
    self->changed_();
  });
}

}  // namespace rse
