#include "transport/udp/udp_socket.h"

#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <asio/ip/v6_only.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace rse {

using asio::ip::udp;

namespace {

constexpr std::size_t kReceiveBytes = 65'536;
constexpr int kBatchesAtOnce = 32;              // then other handlers of the loop have their turn
constexpr int kSocketBufferBytes = 4 << 20;     // asked for; the kernel may give less
constexpr std::size_t kRunSegmentsMax = 64;     // UDP_MAX_SEGMENTS
constexpr std::size_t kRunBytesMax = 65'000;

void set(int handle, int level, int name, int value) { ::setsockopt(handle, level, name, &value, sizeof value); }

}  // namespace

UdpSocket::UdpSocket(asio::io_context& loop, Hooks hooks) : socket_(loop), hooks_(std::move(hooks)), received_(kReceiveBytes) {}

std::error_code UdpSocket::open(const Endpoint& own, bool only_v6) {
  std::error_code error;
  socket_.open(own.protocol(), error);
  if (error) return error;
  const int handle = socket_.native_handle();
  ::fcntl(handle, F_SETFD, FD_CLOEXEC);
  socket_.non_blocking(true, error);
  if (own.address().is_v6()) socket_.set_option(asio::ip::v6_only(only_v6), error);
  // "Don't fragment", without the kernel's opinion on the path: links probe it themselves.
  const bool v6 = own.address().is_v6();
  if (!v6 || !only_v6) {
    set(handle, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    set(handle, IPPROTO_IP, IP_RECVERR, 1);
  }
  if (v6) {
    set(handle, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set(handle, IPPROTO_IPV6, IPV6_RECVERR, 1);
  }
  set(handle, SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
  set(handle, SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
  set(handle, IPPROTO_UDP, UDP_GRO, 1);
  socket_.bind(own, error);
  return error;
}

void UdpSocket::start() { wait(); }

void UdpSocket::close() {
  if (std::exchange(closed_, true)) return;
  std::error_code ignored;
  socket_.close(ignored);
}

UdpSocket::Endpoint UdpSocket::own() const {
  std::error_code ignored;
  return socket_.local_endpoint(ignored);
}

UdpSocket::Endpoint UdpSocket::fit(const Endpoint& to) const {
  if (own().address().is_v4() || to.address().is_v6()) return to;
  return {asio::ip::make_address_v6(asio::ip::v4_mapped, to.address().to_v4()), to.port()};
}

// --- Receiving. ---

void UdpSocket::wait() {
  socket_.async_wait(udp::socket::wait_read, [self = shared_from_this()](const std::error_code& error) {
    if (error || self->closed_) return;
    self->read_errors();
    for (int batch = 0; batch < kBatchesAtOnce && !self->closed_ && self->read_batch(); ++batch) {
    }
    if (self->closed_) return;
    self->hooks_.batch_ended();
    if (!self->closed_) self->wait();
  });
}

/// False: nothing is left.
bool UdpSocket::read_batch() {
  Endpoint from;
  iovec piece{received_.data(), received_.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control;
  msghdr message{};
  message.msg_name = from.data();
  message.msg_namelen = static_cast<socklen_t>(from.capacity());
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket_.native_handle(), &message, 0);
  if (got < 0) return errno != EAGAIN;  // an error that was of a datagram sent before; read_errors() hears of it
  from.resize(message.msg_namelen);
  std::size_t segment = static_cast<std::size_t>(got);
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != IPPROTO_UDP || part->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(part), sizeof size);
    if (size > 0) segment = static_cast<std::size_t>(size);
  }
  auto rest = std::span<const std::byte>(received_).first(static_cast<std::size_t>(got));
  while (!rest.empty() && !closed_) {
    const std::size_t size = std::min(segment, rest.size());
    hooks_.arrived(*this, from, rest.first(size));
    rest = rest.subspan(size);
  }
  return true;
}

void UdpSocket::read_errors() {
  for (int count = 0; count < kBatchesAtOnce && !closed_; ++count) {
    Endpoint to;
    iovec piece{received_.data(), received_.size()};
    alignas(cmsghdr) std::array<std::byte, 512> control;
    msghdr message{};
    message.msg_name = to.data();
    message.msg_namelen = static_cast<socklen_t>(to.capacity());
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(socket_.native_handle(), &message, MSG_ERRQUEUE);
    if (got < 0) return;
    to.resize(message.msg_namelen);
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
      const bool of_ip = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                         (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
      if (!of_ip) continue;
      sock_extended_err why{};
      std::memcpy(&why, CMSG_DATA(part), sizeof why);
      if (why.ee_errno != ECONNREFUSED || why.ee_origin == SO_EE_ORIGIN_LOCAL) continue;
      hooks_.refused(to, std::span<const std::byte>(received_).first(static_cast<std::size_t>(got)));
      break;
    }
  }
}

// --- Sending. ---

std::byte* UdpSocket::queue(const Endpoint& to, std::size_t size) {
  if (outgoing_size_ + size > kRunBytesMax && !queued_.empty()) flush();
  if (outgoing_.size() < outgoing_size_ + size) outgoing_.resize(std::max(2 * kRunBytesMax, outgoing_size_ + size));
  queued_.push_back({to, size});
  std::byte* const room = outgoing_.data() + outgoing_size_;
  outgoing_size_ += size;
  return room;
}

void UdpSocket::send(const Endpoint& to, std::span<const std::byte> datagram) {
  std::memcpy(queue(to, datagram.size()), datagram.data(), datagram.size());
}

/// Datagrams of one size to one place, the last of which may be smaller, go by one call.
void UdpSocket::flush() {
  std::size_t begin = 0;
  for (std::size_t first = 0; first < queued_.size();) {
    std::size_t count = 1, bytes = queued_[first].size;
    while (segments_ && first + count < queued_.size() && count < kRunSegmentsMax) {
      const Queued& next = queued_[first + count];
      if (next.to != queued_[first].to || next.size > queued_[first].size) break;
      bytes += next.size;
      ++count;
      if (next.size < queued_[first].size) break;
    }
    send_run(first, count, begin, begin + bytes);
    first += count;
    begin += bytes;
  }
  queued_.clear();
  outgoing_size_ = 0;
}

void UdpSocket::send_run(std::size_t first, std::size_t count, std::size_t begin, std::size_t end) {
  if (closed_) return;
  const Queued& queued = queued_[first];
  iovec piece{outgoing_.data() + begin, end - begin};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(static_cast<const sockaddr*>(queued.to.data()));
  message.msg_namelen = static_cast<socklen_t>(queued.to.size());
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (count > 1) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = IPPROTO_UDP;
    part->cmsg_type = UDP_SEGMENT;
    part->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(queued.size);
    std::memcpy(CMSG_DATA(part), &size, sizeof size);
  }
  ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
  // An error that an earlier datagram has met is told by the next call, which then has sent nothing.
  if (sent < 0 && (errno == ECONNREFUSED || errno == EHOSTUNREACH)) sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
  if (sent >= 0 || count == 1) return;
  if (errno == EIO || errno == EOPNOTSUPP) segments_ = false;
  if (errno == EAGAIN || errno == ENOBUFS) return;
  for (std::size_t i = 0; i < count; ++i) {
    send_run(first + i, 1, begin, begin + queued_[first + i].size);
    begin += queued_[first + i].size;
  }
}

}  // namespace rse
