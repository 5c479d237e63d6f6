// Two private networks behind a NAT each, and a public one between them, in namespaces on this machine:
//   inside[0] 192.168.1.2 -- nat 203.0.113.11 --.
//                                                 203.0.113.0/24 -- server 203.0.113.1
//   inside[1] 192.168.2.2 -- nat 203.0.113.12 --'
// The NATs are the kernel's (masquerade) and drop what nobody inside has asked for, as home routers do. Needs root, ip and nft.
// Threads: one. Memory: none. Errors: a sentence.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace rse {

class NatNetwork {
 public:
  enum Host : unsigned char { kServer, kInside0, kInside1 };
  NatNetwork();
  ~NatNetwork();
  NatNetwork(const NatNetwork&) = delete;
  NatNetwork& operator=(const NatNetwork&) = delete;
  /// Why it does not work; empty: it does.
  const std::string& failure() const { return failure_; }

  static std::string address(Host host);
  /// Of the NAT before a host inside.
  static std::string public_address(Host host);
  /// The provider gives the NAT before a host inside another address, public_address(host) with 20 instead of 10: what was open through
  /// the old one is closed.
  void move_nat(Host host);
  static std::string moved_address(Host host);
  /// Puts the calling thread there; it stays.
  bool enter_thread(Host host) const;
  /// Puts the calling process, a child between fork and exec, there, with a /dev/shm of its own.
  bool enter(Host host) const;

 private:
  enum Space : std::size_t { kOfServer, kOfInside0, kOfInside1, kOfNat0, kOfNat1, kOfSwitch, kSpaces };
  void run(Space space, const std::string& command);
  std::string path_of(Space space) const;
  void join(Space space, const std::string& interface, const std::string& address);
  void make_nat(Space nat, Space inside, unsigned number);

  std::array<int, kSpaces> spaces_{};
  std::string failure_;
};

}  // namespace rse
