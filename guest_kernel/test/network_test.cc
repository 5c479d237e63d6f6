// A guest on a network: QEMU's own user-mode network, and the bare wire, on which this test plays everybody else.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "guest_kernel/test/guest.h"

using namespace rse;

namespace {

/// A UDP socket on loopback.
class Port {
 public:
  Port() : handle_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own = loopback(0);
    REQUIRE(::bind(handle_, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
    const timeval patience{.tv_sec = 0, .tv_usec = 50'000};
    ::setsockopt(handle_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Port() { ::close(handle_); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  int number() const {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    ::getsockname(handle_, reinterpret_cast<sockaddr*>(&own), &size);
    return ntohs(own.sin_port);
  }
  void send(int port, const std::string& bytes) {
    const sockaddr_in to = loopback(port);
    ::sendto(handle_, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  /// Empty: nothing came for a moment.
  std::string receive() {
    std::string bytes(65'536, '\0');
    const ssize_t size = ::recv(handle_, bytes.data(), bytes.size(), 0);
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }

 private:
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  int handle_;
};

int free_udp_port() { return Port().number(); }

/// A guest that runs while this lives; run() waits for its end.
class Running {
 public:
  Running(const std::string& test, const std::string& network)
      : thread_([this, options = options_for(test, network)] { run_ = run_guest(options); }) {}
  ~Running() {
    if (thread_.joinable()) thread_.join();
  }
  const GuestRun& run() {
    thread_.join();
    return run_;
  }

 private:
  static GuestOptions options_for(const std::string& test, const std::string& network) {
    return {.image = "guest_kernel/test/tests",
            .command_line = "test=" + test,
            .devices = {"-netdev", network, "-device", "virtio-net-pci,netdev=n"}};
  }
  GuestRun run_;
  std::thread thread_;
};

/// Asks until the answer is there, as anything may be lost and the guest has to boot first.
bool ask(Port& port, int to, const std::string& question, const std::function<bool(const std::string&)>& is_answer) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < end) {
    port.send(to, question);
    for (std::string got = port.receive(); !got.empty(); got = port.receive()) {
      if (is_answer(got)) return true;
    }
  }
  return false;
}

std::string bytes_of(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

/// The internet checksum (RFC 1071), as two bytes.
std::string checksum(const std::string& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (i % 2 == 0 ? 8 : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return bytes_of({static_cast<int>(~sum >> 8 & 0xff), static_cast<int>(~sum & 0xff)});
}

const std::string kOurCard = bytes_of({2, 0, 0, 0, 0, 1}), kEveryCard(6, '\xff');
const std::string kOurs = bytes_of({10, 0, 2, 2}), kGuests = bytes_of({10, 0, 2, 15});

std::string arp_question() {
  return kEveryCard + kOurCard + bytes_of({8, 6, 0, 1, 8, 0, 6, 4, 0, 1}) + kOurCard + kOurs + std::string(6, '\0') + kGuests + std::string(18, '\0');
}

/// An IPv4 packet to the guest, in an Ethernet frame to its card.
std::string packet(const std::string& card, int protocol, const std::string& content) {
  const auto size = static_cast<int>(20 + content.size());
  const std::string before = bytes_of({0x45, 0, size >> 8, size & 0xff, 0, 1, 0, 0, 64, protocol});
  const std::string after = kOurs + kGuests;
  return card + kOurCard + bytes_of({8, 0}) + before + checksum(before + std::string(2, '\0') + after) + after + content;
}

}  // namespace

TEST_CASE("network: datagrams of all sizes that a frame carries come back, each woken for by an interrupt") {
  const int forwarded = free_udp_port();
  Port port;
  Running guest("device-echo", "user,id=n,hostfwd=udp:127.0.0.1:" + std::to_string(forwarded) + "-10.0.2.15:7");
  CHECK(ask(port, forwarded, "are you there?", [](const std::string& got) { return got == "are you there?"; }));
  // Without interrupts each would wait for the next deadline of the stack, up to a second: the guest would give up.
  for (int size = 1; size <= 1472; size += 11) {
    const std::string question(static_cast<std::size_t>(size), static_cast<char>('a' + size % 26));
    CHECK(ask(port, forwarded, question, [&](const std::string& got) { return got == question; }));
  }
  CHECK(ask(port, forwarded, "last", [](const std::string& got) { return got == "last"; }));
  const GuestRun& run = guest.run();
  CHECK_MESSAGE(run.exit_code == kGuestDone, run.serial);
}

TEST_CASE("network: an address comes by DHCP") {
  Running guest("device-dhcp", "user,id=n,restrict=on,dhcpstart=10.0.2.77");
  const GuestRun& run = guest.run();
  CHECK_MESSAGE(run.exit_code == kGuestDone, run.serial);
  CHECK_MESSAGE(run.serial.find("network: own=10.0.2.77") != std::string::npos, run.serial);
}

TEST_CASE("network: on the wire the guest answers ARP and ping, and survives ten thousand frames of rubbish") {
  Port wire;
  const int guests_end = free_udp_port();
  Running guest("device-echo", "dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=" + std::to_string(guests_end) +
                                   ",remote.type=inet,remote.host=127.0.0.1,remote.port=" + std::to_string(wire.number()));
  std::string card;
  CHECK(ask(wire, guests_end, arp_question(), [&](const std::string& got) {
    if (got.substr(12, 2) != bytes_of({8, 6}) || got.substr(20, 2) != bytes_of({0, 2}) || got.substr(28, 4) != kGuests) return false;
    card = got.substr(22, 6);
    return true;
  }));
  REQUIRE(card.size() == 6);
  const std::string ping_head = bytes_of({8, 0}), ping_tail = bytes_of({0x12, 0x34, 0, 1}) + "sixteen letters!";
  const std::string ping = ping_head + checksum(ping_head + std::string(2, '\0') + ping_tail) + ping_tail;
  const auto pinged = [&] {
    return ask(wire, guests_end, packet(card, 1, ping), [&](const std::string& got) {
      return got.size() >= 14 + 20 + ping.size() && got.substr(34, 1) == bytes_of({0}) && got.substr(38, ping_tail.size()) == ping_tail;
    });
  };
  CHECK(pinged());
  std::uint32_t seed = 7;
  const auto random = [&seed] { return static_cast<int>((seed = seed * 1'664'525 + 1'013'904'223) >> 8); };
  const std::string udp = bytes_of({0x30, 0x39, 0, 7, 0, 12, 0, 0}) + "last";  // no checksum: it is left out
  for (int count = 0; count < 10'000; ++count) {
    std::string frame;
    switch (random() % 3) {
      case 0: frame = packet(card, random() % 256, std::string(static_cast<std::size_t>(random() % 200), static_cast<char>(random()))); break;
      case 1: frame = packet(card, 17, udp.substr(0, udp.size() - 1) + "?"); break;
      default: frame = arp_question(); break;
    }
    for (int flips = random() % 8; flips > 0; --flips) {
      frame[static_cast<std::size_t>(random()) % frame.size()] ^= static_cast<char>(1 << random() % 8);
    }
    frame.resize(static_cast<std::size_t>(random()) % frame.size() + 1);
    wire.send(guests_end, frame);
    if (count % 50 == 0) CHECK(pinged());  // not faster than it takes them
  }
  CHECK(ask(wire, guests_end, packet(card, 17, udp), [](const std::string& got) { return got.ends_with("last") && got.size() == 46; }));
  const GuestRun& run = guest.run();
  CHECK_MESSAGE(run.exit_code == kGuestDone, run.serial);
}
