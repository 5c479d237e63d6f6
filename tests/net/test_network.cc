#include "tests/net/test_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "transport/monotonic_clock.h"

namespace rse {
namespace {

constexpr int kMtu = 1500;
constexpr const char* kInterface = "rse0";
constexpr std::uint32_t kNetwork = 0x0A530000;  // 10.83.0.0/24
constexpr std::uint32_t kMulticast = 0xE;       // the first four bits: for every host
constexpr std::size_t kHeaderSize = 20;         // of IPv4
constexpr std::size_t kProtocolOffset = 9;
constexpr std::size_t kDestinationOffset = 16;
constexpr const char* kNetworkV6 = "fd83::";    // fd83::/64
constexpr std::size_t kHeaderV6Size = 40;
constexpr std::size_t kProtocolV6Offset = 6;    // nobody here sends extension headers with UDP or TCP
constexpr std::size_t kDestinationV6Offset = 24;
constexpr std::uint32_t kMoved = 100;           // host 0 is 10.83.0.1 and, moved, 10.83.0.101; fd83::1 and fd83::a1
constexpr std::uint8_t kMovedV6 = 0xA0;
constexpr std::byte kMulticastV6{0xFF};         // the first byte
constexpr int kCarrierPriority = 10;  // real-time; the loop of a daemon has 1

std::string because(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

/// Runs `work` on a thread of its own, which may change its namespace and ends.
template <class F>
void on_own_thread(F work) {
  std::thread(work).join();
}

ifreq request_for(const char* name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

/// Within the calling thread's network namespace.
bool set_flags(int control, const char* interface, bool up) {
  ifreq request = request_for(interface);
  if (::ioctl(control, SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
  return ::ioctl(control, SIOCSIFFLAGS, &request) == 0;
}

bool set_address(int control, unsigned long what, std::uint32_t address) {
  ifreq request = request_for(kInterface);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  std::memcpy(&request.ifr_addr, &name, sizeof name);
  return ::ioctl(control, what, &request) == 0;
}

/// As in linux/ipv6.h, which does not go with netinet/in.h.
struct AddressRequestV6 {
  in6_addr address;
  std::uint32_t prefix_size;
  int interface_index;
};

/// `what`: SIOCSIFADDR, SIOCDIFADDR.
bool change_address_v6(unsigned long what, const std::string& text) {
  const int control = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  AddressRequestV6 request{{}, 64, static_cast<int>(::if_nametoindex(kInterface))};
  const bool done = ::inet_pton(AF_INET6, text.c_str(), &request.address) == 1 && ::ioctl(control, what, &request) == 0;
  ::close(control);
  return done;
}

bool set_v4(int control, std::uint32_t number) {
  return set_address(control, SIOCSIFADDR, kNetwork + number) && set_address(control, SIOCSIFNETMASK, 0xFFFFFF00);
}

std::string v4_text(std::uint32_t number) {
  const in_addr address{htonl(kNetwork + number)};
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

/// Of the calling thread's network namespace.
void turn_v6_off() { std::ofstream("/proc/sys/net/ipv6/conf/all/disable_ipv6") << "1"; }

/// A user namespace in which this process is root; its real user owns what it makes.
bool become_root_of_own() {
  const auto user = ::geteuid();
  const auto group = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return false;
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  return ::geteuid() == 0;
}

}  // namespace

std::string TestNetwork::unavailable() {
  int allowed = -1;
  on_own_thread([&] { allowed = ::unshare(CLONE_NEWNET | CLONE_NEWNS); });
  if (allowed != 0 && !become_root_of_own()) return because("network namespaces are not allowed here");
  TestNetwork tried(1, 1);
  return tried.failure();
}

TestNetwork::TestNetwork(std::size_t host_count, std::uint64_t seed, Family family)
    : family_(family), hosts_(host_count), relay_(host_count, seed) {
  for (std::size_t host = 0; host < host_count && failure_.empty(); ++host)
    on_own_thread([&] { failure_ = make_host(host); });
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (failure_.empty()) carrier_ = std::thread([this] { carry(); });
}

TestNetwork::~TestNetwork() {
  stopping_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  if (carrier_.joinable()) carrier_.join();
  for (const Host& host : hosts_) {
    if (host.tun >= 0) ::close(host.tun);
    if (host.name_space >= 0) ::close(host.name_space);  // with its last process the namespace goes
  }
  ::close(wake_);
}

std::string TestNetwork::address(std::size_t host) { return v4_text(1 + static_cast<std::uint32_t>(host)); }

std::string TestNetwork::address_v6(std::size_t host) { return kNetworkV6 + std::to_string(host + 1); }

std::string TestNetwork::moved_address(std::size_t host) { return v4_text(kMoved + 1 + static_cast<std::uint32_t>(host)); }

std::string TestNetwork::moved_address_v6(std::size_t host) { return std::string(kNetworkV6) + "a" + std::to_string(host + 1); }

std::string TestNetwork::make_host(std::size_t index) {
  Host& host = hosts_[index];
  if (::unshare(CLONE_NEWNET) != 0) return because("network namespaces are not allowed here");
  host.name_space = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (host.name_space < 0) return because("cannot open the network namespace");
  host.tun = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (host.tun < 0) return because("cannot open /dev/net/tun");
  ifreq request = request_for(kInterface);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(host.tun, TUNSETIFF, &request) != 0) return because("cannot make a TUN device");
  const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq mtu = request_for(kInterface);
  mtu.ifr_mtu = kMtu;
  if (!has_v6()) turn_v6_off();
  bool configured = ::ioctl(control, SIOCSIFMTU, &mtu) == 0;
  if (has_v4()) configured = configured && set_v4(control, 1 + static_cast<std::uint32_t>(index));
  configured = configured && set_flags(control, kInterface, true) && set_flags(control, "lo", true);
  if (has_v6()) configured = configured && change_address_v6(SIOCSIFADDR, address_v6(index));
  const std::string failure = configured ? std::string() : because("cannot configure a TUN device");
  ::close(control);
  return failure;
}

bool TestNetwork::enter(std::size_t host) const {
  return ::setns(hosts_[host].name_space, CLONE_NEWNET) == 0 && ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=16m") == 0;
}

bool TestNetwork::on_host(std::size_t host, const std::function<bool(int control)>& work) const {
  bool done = false;
  on_own_thread([&] {
    if (::setns(hosts_[host].name_space, CLONE_NEWNET) != 0) return;
    const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    done = work(control);
    ::close(control);
  });
  return done;
}

bool TestNetwork::set_interface(std::size_t host, bool up) const {
  return on_host(host, [&](int control) { return set_flags(control, kInterface, up); });
}

bool TestNetwork::replace_addresses(std::size_t host) const {
  return on_host(host, [&](int control) {
    const bool v4 = !has_v4() || set_v4(control, kMoved + 1 + static_cast<std::uint32_t>(host));
    return v4 && (!has_v6() || (change_address_v6(SIOCDIFADDR, address_v6(host)) && change_address_v6(SIOCSIFADDR, moved_address_v6(host))));
  });
}

bool TestNetwork::keep_only(std::size_t host, Family family) const {
  return on_host(host, [&](int control) {
    if (family == Family::kIpv4) turn_v6_off();
    return family != Family::kIpv6 || set_address(control, SIOCSIFADDR, 0);
  });
}

// --- Faults. ---

Instant TestNetwork::set_all(const LinkFaults& faults) {
  const std::lock_guard lock(mutex_);
  for (std::size_t from = 0; from < hosts_.size(); ++from)
    for (std::size_t to = 0; to < hosts_.size(); ++to) relay_.set(from, to, faults);
  return monotonic_now();
}

Instant TestNetwork::set_one_way(std::size_t from, std::size_t to, const LinkFaults& faults) {
  const std::lock_guard lock(mutex_);
  relay_.set(from, to, faults);
  return monotonic_now();
}

Instant TestNetwork::change(std::size_t from, std::size_t to, bool cut) {
  LinkFaults faults = relay_.faults(from, to);
  faults.cut = cut;
  relay_.set(from, to, faults);
  return monotonic_now();
}

Instant TestNetwork::cut(std::size_t a, std::size_t b) {
  const std::lock_guard lock(mutex_);
  change(a, b, true);
  return change(b, a, true);
}

Instant TestNetwork::heal(std::size_t a, std::size_t b) {
  const std::lock_guard lock(mutex_);
  change(a, b, false);
  return change(b, a, false);
}

Instant TestNetwork::cut_off(std::size_t host) {
  Instant done;
  for (std::size_t other = 0; other < hosts_.size(); ++other)
    if (other != host) done = cut(host, other);
  return done;
}

Instant TestNetwork::join_up(std::size_t host) {
  Instant done;
  for (std::size_t other = 0; other < hosts_.size(); ++other)
    if (other != host) done = heal(host, other);
  return done;
}

PacketRelay::Counts TestNetwork::counts() const {
  const std::lock_guard lock(mutex_);
  return relay_.counts();
}

// --- The carrier. ---

void TestNetwork::take_in(std::size_t host, Instant now) {
  std::array<std::byte, 2 * kMtu> packet;
  for (;;) {
    const ssize_t size = ::read(hosts_[host].tun, packet.data(), packet.size());
    if (size <= 0) return;
    const std::span<const std::byte> whole = std::span(packet).first(static_cast<std::size_t>(size));
    const unsigned version = static_cast<unsigned>(packet[0]) >> 4;
    if (version == 4 && whole.size() >= kHeaderSize && has_v4()) take_in_v4(host, now, whole);
    if (version == 6 && whole.size() >= kHeaderV6Size && has_v6()) take_in_v6(host, now, whole);
  }
}

void TestNetwork::take_in_v4(std::size_t host, Instant now, std::span<const std::byte> packet) {
  const bool udp = static_cast<int>(packet[kProtocolOffset]) == IPPROTO_UDP;
  if (udp && !udp_passes_) return;
  std::uint32_t destination = 0;
  std::memcpy(&destination, packet.data() + kDestinationOffset, sizeof destination);
  if (ntohl(destination) >> 28 != kMulticast) {
    const std::uint32_t number = ntohl(destination) - kNetwork;
    return relay_.accept(now, host, (number > kMoved ? number - kMoved : number) - 1, packet);
  }
  if (udp && multicast_v4_) accept_for_all(host, now, packet);  // nobody here asks who is in a group
}

void TestNetwork::take_in_v6(std::size_t host, Instant now, std::span<const std::byte> packet) {
  const bool udp = static_cast<int>(packet[kProtocolV6Offset]) == IPPROTO_UDP;
  if (udp && !udp_passes_) return;
  if (packet[kDestinationV6Offset] == kMulticastV6) {
    if (udp && multicast_v6_) accept_for_all(host, now, packet);  // nor does anybody have to look for routers or neighbours
    return;
  }
  in6_addr network{}, destination{};
  ::inet_pton(AF_INET6, kNetworkV6, &network);
  std::memcpy(&destination, packet.data() + kDestinationV6Offset, sizeof destination);
  const std::size_t number = destination.s6_addr[15] & ~kMovedV6;
  destination.s6_addr[15] = 0;
  if (std::memcmp(&destination, &network, sizeof network) == 0 && number > 0) relay_.accept(now, host, number - 1, packet);
}

void TestNetwork::accept_for_all(std::size_t host, Instant now, std::span<const std::byte> packet) {
  for (std::size_t to = 0; to < hosts_.size(); ++to) relay_.accept(now, host, to, packet);
}

void TestNetwork::carry() {
  // A network does not wait for what its hosts compute: before all of them, where that is allowed. (A niceness counts only
  // among the processes of a session.)
  const sched_param first{.sched_priority = kCarrierPriority};
  ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
  std::vector<pollfd> waiting{{wake_, POLLIN, 0}};
  for (const Host& host : hosts_) waiting.push_back({host.tun, POLLIN, 0});
  while (!stopping_) {
    std::optional<Instant> next;
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t host = 0; host < hosts_.size(); ++host)
        if ((waiting[host + 1].revents & POLLIN) != 0) take_in(host, monotonic_now());
      while (const auto delivery = relay_.poll(monotonic_now())) {
        // A full device or an interface that is down loses the packet, as a wire would.
        [[maybe_unused]] const ssize_t written =
            ::write(hosts_[delivery->to].tun, delivery->packet.data(), delivery->packet.size());
      }
      next = relay_.next_arrival();
    }
    timespec wait{};
    if (next) {
      const std::uint64_t left = elapsed(monotonic_now(), *next).raw;
      wait = {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
    }
    ::ppoll(waiting.data(), waiting.size(), next ? &wait : nullptr, nullptr);
  }
}

}  // namespace rse
