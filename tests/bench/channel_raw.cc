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

/// A ring each way, as long as ours: memcpy in, a position, memcpy out. The least that a message between two processes can cost.
class MemoryChannel final : public Channel {
 public:
  MemoryChannel(Side side, std::size_t, unsigned run, Wait wait) : wait_(wait), own_(side == Side::kClient ? 0 : 1) {
    const int file = ::open(shared_name(run).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ::ftruncate(file, kMemoryBytes) != 0) give_up("shared memory");
    memory_ = static_cast<std::byte*>(::mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0));
    ::close(file);
  }
  ~MemoryChannel() override { ::munmap(memory_, kMemoryBytes); }
  bool send(std::span<const std::byte> message) override {
    Way& way = ways()[own_];
    const std::size_t size = frame_bytes(message.size());
    const std::size_t to_end = kRing - sent_ % kRing;
    const std::size_t whole = size + (size > to_end ? to_end : 0);  // what is left at the end stays unused
    if (sent_ + whole - taken_by_peer_ > kRing) taken_by_peer_ = way.head.load(std::memory_order_acquire);
    if (sent_ + whole - taken_by_peer_ > kRing) return false;
    std::byte* const frame = data(own_) + sent_ % kRing;
    const std::uint64_t length = message.size();
    if (size > to_end) std::memset(frame, 0, kHeader);
    std::byte* const to = size > to_end ? data(own_) : frame;
    std::memcpy(to, &length, sizeof length);
    std::memcpy(to + kHeader, message.data(), message.size());
    sent_ += whole;
    if (wait_ == Wait::kSpin) {
      way.tail.store(sent_, std::memory_order_release);
    } else {
      way.tail.store(sent_, std::memory_order_seq_cst);
      if (way.sleeping.load() != 0 && way.sleeping.exchange(0) != 0) ::syscall(SYS_futex, &way.sleeping, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }
    return true;
  }
  void pump(const OnMessage& on_message) override {
    Way& way = ways()[1 - own_];
    std::uint64_t tail = way.tail.load(std::memory_order_acquire);
    if (tail == taken_) {
      if (wait_ == Wait::kSpin) return _mm_pause();
      way.sleeping.store(1);
      if (way.tail.load() == taken_) ::syscall(SYS_futex, &way.sleeping, FUTEX_WAIT, 1, nullptr, nullptr, 0);
      way.sleeping.store(0, std::memory_order_relaxed);
      return;
    }
    while (taken_ < tail) {
      const std::byte* const from = data(1 - own_) + taken_ % kRing;
      std::uint64_t length = 0;
      std::memcpy(&length, from, sizeof length);
      if (length == 0) {
        taken_ += kRing - taken_ % kRing;
        continue;
      }
      if (copy_.size() < length) copy_.resize(length);
      std::memcpy(copy_.data(), from + kHeader, length);
      taken_ += frame_bytes(length);
      way.head.store(taken_, std::memory_order_release);
      on_message(std::span(copy_).first(length));
    }
  }

 private:
  struct Way {
    alignas(128) std::atomic<std::uint64_t> tail;
    alignas(128) std::atomic<std::uint64_t> head;
    alignas(128) std::atomic<std::uint32_t> sleeping;
  };
  static constexpr std::size_t kRing = 1 << 20, kHeader = 8, kAlignment = 64, kData = 4096, kMemoryBytes = kData + 2 * kRing;
  static constexpr std::size_t frame_bytes(std::size_t length) { return (length + kHeader + kAlignment - 1) / kAlignment * kAlignment; }
  Way* ways() { return reinterpret_cast<Way*>(memory_); }
  std::byte* data(unsigned side) { return memory_ + kData + side * kRing; }
  Wait wait_;
  unsigned own_;
  std::byte* memory_;
  std::vector<std::byte> copy_;
  std::uint64_t sent_ = 0, taken_by_peer_ = 0, taken_ = 0;
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
      {"raw ring, spinning", {}, 0, with.operator()<MemoryChannel>(Wait::kSpin)},
      {"raw ring, futex", {}, 15, with.operator()<MemoryChannel>(Wait::kSleep)},
      {"raw TCP, spinning", {}, 0, with.operator()<TcpChannel>(Wait::kSpin)},
      {"raw TCP, blocking", {}, 0, with.operator()<TcpChannel>(Wait::kSleep)},
      {"raw UDP, spinning", {}, 2, with.operator()<UdpChannel>(Wait::kSpin)},
      {"raw UDP, blocking", {}, 2, with.operator()<UdpChannel>(Wait::kSleep)},
      {"ZeroMQ pair, tcp", {}, 500,
       [](Side side, std::size_t size, unsigned run) -> std::unique_ptr<Channel> {
         return std::make_unique<ZeroMqChannel>(side, size, run);
       }},
  };
}

}  // namespace rse::bench
