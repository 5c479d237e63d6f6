// A network of hosts on this machine: each has a network namespace with an address of its own, on a TUN device with an MTU of
// 1,500, and a relay in user space carries packets between them as well or as badly as it is told (packet_relay.h). Needs no
// tool and no kernel module but TUN; as root, or where users may make namespaces of their own.
// Threads: one, inside, carries packets; set_...() from any. Memory: packets on their way. Errors: a sentence.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "tests/net/packet_relay.h"

namespace rse {

class TestNetwork {
 public:
  /// Empty: this machine allows it; else one line that says why not. Ask before any thread runs: it may have to enter a
  /// user namespace, which is for processes with one thread.
  static std::string unavailable();

  /// What its hosts have and it carries.
  enum class Family : std::uint8_t { kIpv4, kIpv6, kBoth };
  TestNetwork(std::size_t host_count, std::uint64_t seed, Family family = Family::kIpv4);
  ~TestNetwork();
  TestNetwork(const TestNetwork&) = delete;
  TestNetwork& operator=(const TestNetwork&) = delete;
  /// Why it does not work; empty: it does.
  const std::string& failure() const { return failure_; }

  std::size_t size() const { return hosts_.size(); }
  static std::string address(std::size_t host);
  static std::string address_v6(std::size_t host);
  /// What replace_addresses() gives a host.
  static std::string moved_address(std::size_t host);
  static std::string moved_address_v6(std::size_t host);
  /// Puts the calling process, a child between fork and exec, on that host: its network, and a /dev/shm of its own.
  bool enter(std::size_t host) const;

  // --- Faults, from now on. All return the time (CLOCK_MONOTONIC) at which they are in force. ---
  Instant set_all(const LinkFaults& faults);
  Instant set_one_way(std::size_t from, std::size_t to, const LinkFaults& faults);
  Instant cut(std::size_t a, std::size_t b);  // both ways; what else is set for the link stays
  Instant heal(std::size_t a, std::size_t b);
  Instant cut_off(std::size_t host);          // from all others
  Instant join_up(std::size_t host);
  /// All UDP, between all hosts, is lost from now on, or passes again: as behind a firewall.
  void set_udp(bool passes) { udp_passes_ = passes; }
  /// Which of the multicasts pass, as a switch filters them.
  struct Multicast {
    bool v4 = true, v6 = true;
  };
  void set_multicast(Multicast passes) { multicast_v4_ = passes.v4, multicast_v6_ = passes.v6; }
  /// The host's interface goes down or up: its own kernel knows, others see silence.
  bool set_interface(std::size_t host, bool up) const;
  /// The host's addresses, of each family that the network has, go, and others come: as when a lease has ended.
  bool replace_addresses(std::size_t host) const;
  /// Takes the other family from a host: kBoth changes nothing.
  bool keep_only(std::size_t host, Family family) const;
  PacketRelay::Counts counts() const;

 private:
  struct Host {
    int name_space = -1;
    int tun = -1;
  };
  std::string make_host(std::size_t host);
  bool on_host(std::size_t host, const std::function<bool(int control)>& work) const;
  Instant change(std::size_t from, std::size_t to, bool cut);
  void carry();
  void take_in(std::size_t host, Instant now);
  void take_in_v4(std::size_t host, Instant now, std::span<const std::byte> packet);
  void take_in_v6(std::size_t host, Instant now, std::span<const std::byte> packet);
  void accept_for_all(std::size_t host, Instant now, std::span<const std::byte> packet);
  bool has_v4() const { return family_ != Family::kIpv6; }
  bool has_v6() const { return family_ != Family::kIpv4; }

  Family family_;
  std::vector<Host> hosts_;
  std::string failure_;
  mutable std::mutex mutex_;
  PacketRelay relay_;
  int wake_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> udp_passes_{true}, multicast_v4_{true}, multicast_v6_{true};
  std::thread carrier_;
};

}  // namespace rse
