// What the machine gives without us.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>
#include <zmq.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/bench/channel.h"

namespace rse::bench {
namespace {

enum class Wait : unsigned char { kSpin, kSleep };

constexpr std::uint16_t kPortBase = 21'000;

/// Two buffers, one each way, each with a count of messages on a line of its own: memcpy, then the count. The least that a
/// message between two processes can cost.
class FlagChannel final : public Channel {
 public:
  FlagChannel(Side side, std::size_t message_bytes, unsigned run, Wait wait) : wait_(wait), size_(message_bytes), copy_(size_) {
    const int file = ::open(shared_name(run).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ::ftruncate(file, 1 << 20) != 0) give_up("shared memory");
    memory_ = static_cast<std::byte*>(::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0));
    ::close(file);
    own_ = side == Side::kClient ? 0 : 1;
  }
  ~FlagChannel() override { ::munmap(memory_, 1 << 20); }
  bool send(std::span<const std::byte> message) override {
    std::memcpy(memory_ + kData + own_ * kBuffer, message.data(), size_);
    flag(own_).fetch_add(1);
    if (wait_ == Wait::kSleep) ::syscall(SYS_futex, &flag(own_), FUTEX_WAKE, 1, nullptr, nullptr, 0);
    return true;
  }
  void pump(const OnMessage& on_message) override {
    std::atomic<std::uint32_t>& flag_in = flag(1 - own_);
    while (flag_in.load(std::memory_order_acquire) == seen_) {
      if (wait_ == Wait::kSpin) _mm_pause();
      else ::syscall(SYS_futex, &flag_in, FUTEX_WAIT, seen_, nullptr, nullptr, 0);
    }
    ++seen_;
    std::memcpy(copy_.data(), memory_ + kData + (1 - own_) * kBuffer, size_);
    on_message(copy_);
  }

 private:
  static constexpr std::size_t kData = 4096, kBuffer = 128 << 10;
  std::atomic<std::uint32_t>& flag(unsigned side) { return *reinterpret_cast<std::atomic<std::uint32_t>*>(memory_ + side * 256); }
  Wait wait_;
  std::size_t size_;
  std::vector<std::byte> copy_;
  std::byte* memory_;
  unsigned own_ = 0;
  std::uint32_t seen_ = 0;
};

sockaddr_in local(std::uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

std::uint16_t port_of(Side side, unsigned run) { return static_cast<std::uint16_t>(kPortBase + 2 * run + (side == Side::kServer)); }

/// Frames of a size that both know.
class TcpChannel final : public Channel {
 public:
  TcpChannel(Side side, std::size_t message_bytes, unsigned run, Wait wait) : size_(message_bytes), buffer_(1 << 18) {
    const sockaddr_in name = local(port_of(Side::kServer, run));
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    if (side == Side::kServer) {
      ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
      if (::bind(socket_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 || ::listen(socket_, 1) != 0) give_up("tcp");
      const int accepted = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      ::close(std::exchange(socket_, accepted));
    } else {
      while (::connect(socket_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) ::usleep(1000);
    }
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (wait == Wait::kSpin) ::fcntl(socket_, F_SETFL, O_NONBLOCK);
  }
  ~TcpChannel() override { ::close(socket_); }
  bool send(std::span<const std::byte> message) override {
    for (std::size_t done = 0; done < message.size();) {
      const ssize_t sent = ::send(socket_, message.data() + done, message.size() - done, MSG_NOSIGNAL);
      if (sent > 0) done += static_cast<std::size_t>(sent);
      else if (done == 0 && sent < 0 && errno == EAGAIN) return false;
      else if (sent < 0 && errno != EAGAIN && errno != EINTR) give_up("tcp send");
    }
    return true;
  }
  void pump(const OnMessage& on_message) override {
    const ssize_t got = ::recv(socket_, buffer_.data() + filled_, buffer_.size() - filled_, 0);
    if (got == 0) give_up("tcp ended");
    if (got < 0) return;
    filled_ += static_cast<std::size_t>(got);
    std::size_t at = 0;
    for (; filled_ - at >= size_; at += size_) on_message(std::span(buffer_).subspan(at, size_));
    std::memmove(buffer_.data(), buffer_.data() + at, filled_ - at);
    filled_ -= at;
  }

 private:
  std::size_t size_;
  std::vector<std::byte> buffer_;
  std::size_t filled_ = 0;
  int socket_;
};

class UdpChannel final : public Channel {
 public:
  UdpChannel(Side side, std::size_t, unsigned run, Wait wait) : buffer_(1 << 16) {
    const sockaddr_in own = local(port_of(side, run));
    const sockaddr_in peer = local(port_of(side == Side::kServer ? Side::kClient : Side::kServer, run));
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | (wait == Wait::kSpin ? SOCK_NONBLOCK : 0), 0);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) give_up("udp");
    ::connect(socket_, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
    meet(side);
  }
  ~UdpChannel() override { ::close(socket_); }
  bool send(std::span<const std::byte> message) override { return ::send(socket_, message.data(), message.size(), 0) > 0; }
  void pump(const OnMessage& on_message) override {
    const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (got > 0) on_message(std::span(buffer_).first(static_cast<std::size_t>(got)));
  }

 private:
  /// What is sent before the other end is there is lost: the client knocks with empty datagrams until it is answered.
  void meet(Side side) {
    for (pollfd wait{socket_, POLLIN, 0};;) {
      if (side == Side::kClient) ::send(socket_, nullptr, 0, 0);
      if (::poll(&wait, 1, 1) > 0 && ::recv(socket_, buffer_.data(), buffer_.size(), 0) == 0) break;
    }
    if (side == Side::kServer) ::send(socket_, nullptr, 0, 0);
  }

  std::vector<std::byte> buffer_;
  int socket_;
};

class ZeroMqChannel final : public Channel {
 public:
  ZeroMqChannel(Side side, std::size_t, unsigned run) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_PAIR)) {
    const std::string address = "tcp://127.0.0.1:" + std::to_string(port_of(Side::kServer, run));
    const int linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger);
    if ((side == Side::kServer ? zmq_bind(socket_, address.c_str()) : zmq_connect(socket_, address.c_str())) != 0) give_up("zmq");
    zmq_msg_init(&message_);
  }
  ~ZeroMqChannel() override {
    zmq_msg_close(&message_);
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  bool send(std::span<const std::byte> message) override {
    return zmq_send(socket_, message.data(), message.size(), 0) >= 0;
  }
  void pump(const OnMessage& on_message) override {
    if (zmq_msg_recv(&message_, socket_, 0) < 0) return;
    on_message({static_cast<const std::byte*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)});
  }

 private:
  void* context_;
  void* socket_;
  zmq_msg_t message_;
};

}  // namespace

std::string shared_name(unsigned run) { return "/dev/shm/rse-bench-" + std::to_string(::getpgrp()) + "-" + std::to_string(run); }

void give_up(const std::string& what) {
  std::perror(what.c_str());
  std::_Exit(1);
}

std::vector<Candidate> raw_candidates() {
  const auto with = []<class C>(Wait wait) {
    return [wait](Side side, std::size_t size, unsigned run) -> std::unique_ptr<Channel> {
      return std::make_unique<C>(side, size, run, wait);
    };
  };
  return {
      {"memcpy and flag, spinning", {}, true, 1, with.operator()<FlagChannel>(Wait::kSpin)},
      {"memcpy and flag, futex", {}, true, 1, with.operator()<FlagChannel>(Wait::kSleep)},
      {"raw TCP, spinning", {}, false, 0, with.operator()<TcpChannel>(Wait::kSpin)},
      {"raw TCP, blocking", {}, false, 0, with.operator()<TcpChannel>(Wait::kSleep)},
      {"raw UDP, spinning", {}, false, 2, with.operator()<UdpChannel>(Wait::kSpin)},
      {"raw UDP, blocking", {}, false, 2, with.operator()<UdpChannel>(Wait::kSleep)},
      {"ZeroMQ pair, tcp", {}, false, 500,
       [](Side side, std::size_t size, unsigned run) -> std::unique_ptr<Channel> {
         return std::make_unique<ZeroMqChannel>(side, size, run);
       }},
  };
}

}  // namespace rse::bench
