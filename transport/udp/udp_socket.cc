#include "transport/udp/udp_socket.h"

#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace rse {

using asio::ip::udp;

namespace {

constexpr std::size_t kReceiveBytes = 65'536;
constexpr std::size_t kReceivesAtOnce = 4;
constexpr Duration kCrowded{20'000};
constexpr int kBatchesAtOnce = 32;              // then other handlers of the loop have their turn
constexpr int kSocketBufferBytes = 4 << 20;     // asked for; the kernel may give less
constexpr std::size_t kRunSegmentsMax = 64;     // UDP_MAX_SEGMENTS
constexpr std::size_t kRunBytesMax = 65'000;

constexpr int kPreferPublic = 0x0002;           // IPV6_PREFER_SRC_PUBLIC of linux/in6.h, which does not go with netinet/in.h

void set(int handle, int level, int name, int value) { ::setsockopt(handle, level, name, &value, sizeof value); }

/// recvmmsg(), but one alone by the cheaper call.
int receive(int handle, std::span<mmsghdr> messages) {
  if (messages.size() > 1) return ::recvmmsg(handle, messages.data(), static_cast<unsigned>(messages.size()), 0, nullptr);
  const ssize_t size = ::recvmsg(handle, &messages[0].msg_hdr, 0);
  if (size < 0) return -1;
  messages[0].msg_len = static_cast<unsigned>(size);
  return 1;
}

UdpEndpoint endpoint_of(const sockaddr_storage& address) {
  UdpEndpoint endpoint;
  endpoint.v6 = address.ss_family == AF_INET6;
  if (endpoint.v6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    std::memcpy(endpoint.address.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    endpoint.scope = v6.sin6_scope_id;
    endpoint.port = ntohs(v6.sin6_port);
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    std::memcpy(endpoint.address.data(), &v4.sin_addr, sizeof v4.sin_addr);
    endpoint.port = ntohs(v4.sin_port);
  }
  return endpoint;
}

/// Its length.
socklen_t write_address(const UdpEndpoint& endpoint, sockaddr_storage& address) {
  if (endpoint.v6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    v6.sin6_scope_id = endpoint.scope;
    std::memcpy(&v6.sin6_addr, endpoint.address.data(), sizeof v6.sin6_addr);
    std::memcpy(&address, &v6, sizeof v6);
    return sizeof v6;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(endpoint.port);
  std::memcpy(&v4.sin_addr, endpoint.address.data(), sizeof v4.sin_addr);
  std::memcpy(&address, &v4, sizeof v4);
  return sizeof v4;
}

}  // namespace

UdpEndpoint to_udp(const asio::ip::udp::endpoint& endpoint) {
  sockaddr_storage address;
  std::memcpy(&address, endpoint.data(), endpoint.size());
  return endpoint_of(address);
}

asio::ip::udp::endpoint to_asio(const UdpEndpoint& endpoint) {
  sockaddr_storage address;
  const socklen_t size = write_address(endpoint, address);
  asio::ip::udp::endpoint made;
  made.resize(size);
  std::memcpy(made.data(), &address, size);
  return made;
}

UdpSocket::UdpSocket(asio::io_context& loop, Duration spin, Hooks hooks)
    : socket_(loop), hooks_(std::move(hooks)), spin_(spin), received_(kReceivesAtOnce * kReceiveBytes), outgoing_(2 * kRunBytesMax) {}

std::error_code UdpSocket::open(const Endpoint& own) {
  std::error_code error;
  socket_.open(own.protocol(), error);
  if (error) return error;
  const int handle = socket_.native_handle();
  ::fcntl(handle, F_SETFD, FD_CLOEXEC);
  socket_.non_blocking(true, error);
  // "Don't fragment", without the kernel's opinion on the path: links probe it themselves.
  if (own.address().is_v6()) {
    socket_.set_option(asio::ip::v6_only(true), error);
    set(handle, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set(handle, IPPROTO_IPV6, IPV6_RECVERR, 1);
    set(handle, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, kPreferPublic);  // others dial that, and take no answer from another
  } else {
    set(handle, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    set(handle, IPPROTO_IP, IP_RECVERR, 1);
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

// --- Receiving. ---

void UdpSocket::wait() {
  socket_.async_wait(udp::socket::wait_read, [self = self()](const std::error_code& error) {
    if (error || self->closed_) return;
    self->read_all();
    if (self->closed_) return;
    self->hooks_.batch_ended();
    self->go_on();
  });
}

/// What comes soon is taken without having been waited for.
void UdpSocket::go_on() {
  spin_.begin_turn();
  while (!closed_) {
    const auto look = spin_.look([this] { return read_batch(1) > 0 || refusals_hinted_; });
    if (look == AdaptiveSpin::Look::kTurnOver) return asio::post(socket_.get_executor(), [self = self()] { self->go_on(); });
    if (look == AdaptiveSpin::Look::kQuiet) return wait();
    if (std::exchange(refusals_hinted_, false)) read_errors();
    if (!closed_) hooks_.batch_ended();
  }
}

/// Looks for more than one only where another came a moment ago: that look costs a datagram that comes alone a twentieth of its
/// round trip, and what it would have found wakes us again. Asks for what was refused only where something hints at it, for
/// that is a call to the kernel, too: a call has failed, or nothing is there although we were woken.
void UdpSocket::read_all() {
  const Instant crowded_until = arrived_at_ + kCrowded;
  int got = read_batch(1);
  refusals_hinted_ |= got < 0;
  const bool crowded = got > 0 && arrived_at_ < crowded_until;
  for (int batch = 1; crowded && batch < kBatchesAtOnce && !closed_; ++batch) {
    got = read_batch(kReceivesAtOnce);
    if (got < static_cast<int>(kReceivesAtOnce)) break;
  }
  if (std::exchange(refusals_hinted_, false)) read_errors();
}

/// Up to `most`, at most kReceivesAtOnce. How many have come; -1: none, or an earlier one was refused.
int UdpSocket::read_batch(std::size_t most) {
  struct Arrival {
    sockaddr_storage from;
    iovec piece;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control;
  };
  std::array<Arrival, kReceivesAtOnce> arrivals;
  std::array<mmsghdr, kReceivesAtOnce> messages;
  for (std::size_t i = 0; i < most; ++i) {
    arrivals[i].piece = {received_.data() + i * kReceiveBytes, kReceiveBytes};
    msghdr& header = messages[i].msg_hdr;
    header = {};
    header.msg_name = &arrivals[i].from;
    header.msg_namelen = sizeof arrivals[i].from;
    header.msg_iov = &arrivals[i].piece;
    header.msg_iovlen = 1;
    header.msg_control = arrivals[i].control.data();
    header.msg_controllen = arrivals[i].control.size();
  }
  const int got = receive(socket_.native_handle(), std::span(messages).first(most));
  if (got <= 0) {
    refusals_hinted_ |= got < 0 && errno != EAGAIN;
    return got;
  }
  arrived_at_ = monotonic_now();
  spin_.took_message();
  for (std::size_t i = 0; static_cast<int>(i) < got && !closed_; ++i) {
    hand_over(messages[i].msg_hdr, std::span(received_).subspan(i * kReceiveBytes, messages[i].msg_len));
  }
  return got;
}

/// One datagram, or several of one size that the kernel has put together.
void UdpSocket::hand_over(msghdr& header, std::span<const std::byte> bytes) {
  std::size_t segment = bytes.size();
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != IPPROTO_UDP || part->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(part), sizeof size);
    if (size > 0) segment = static_cast<std::size_t>(size);
  }
  const UdpEndpoint sender = endpoint_of(*static_cast<const sockaddr_storage*>(header.msg_name));
  while (!bytes.empty() && !closed_) {
    const std::size_t size = std::min(segment, bytes.size());
    hooks_.arrived(*this, sender, arrived_at_, bytes.first(size));
    bytes = bytes.subspan(size);
  }
}

void UdpSocket::read_errors() {
  for (int count = 0; count < kBatchesAtOnce && !closed_; ++count) {
    Endpoint to;
    iovec piece{received_.data(), kReceiveBytes};
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
      hooks_.refused(std::span<const std::byte>(received_).first(static_cast<std::size_t>(got)));
      break;
    }
  }
}

// --- Sending. ---

std::byte* UdpSocket::room(const UdpEndpoint& to, std::size_t size_max) {
  if (outgoing_size_ + size_max > outgoing_.size()) flush();
  room_for_ = to;
  return outgoing_.data() + outgoing_size_;
}

void UdpSocket::queue(std::size_t size) {
  queued_.push_back({room_for_, size});
  outgoing_size_ += size;
}

/// Datagrams of one size to one place, the last of which may be smaller, go by one call.
void UdpSocket::flush() {
  std::size_t begin = 0;
  for (std::size_t first = 0; first < queued_.size();) {
    std::size_t count = 1, bytes = queued_[first].size;
    while (segments_ && first + count < queued_.size() && count < kRunSegmentsMax) {
      const Queued& next = queued_[first + count];
      if (next.to != queued_[first].to || next.size > queued_[first].size || bytes + next.size > kRunBytesMax) break;
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
  sockaddr_storage to;
  iovec piece{outgoing_.data() + begin, end - begin};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = write_address(queued.to, to);
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
  if (sent < 0 && (errno == ECONNREFUSED || errno == EHOSTUNREACH)) {
    refusals_hinted_ = true;
    sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
  }
  if (sent >= 0 || count == 1) return;
  if (errno == EIO || errno == EOPNOTSUPP) segments_ = false;
  if (errno == EAGAIN || errno == ENOBUFS) return;
  for (std::size_t i = 0; i < count; ++i) {
    send_run(first + i, 1, begin, begin + queued_[first + i].size);
    begin += queued_[first + i].size;
  }
}

}  // namespace rse
