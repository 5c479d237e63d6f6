#include "tests/net/nat_network.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace rse {

NatNetwork::NatNetwork() {
  spaces_.fill(-1);
  for (int& space : spaces_) {
    std::thread([&] {
      if (::unshare(CLONE_NEWNET) == 0) space = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    }).join();
    if (space >= 0) continue;
    failure_ = std::string("network namespaces are not allowed here: ") + std::strerror(errno);
    return;
  }
  for (std::size_t space = 0; space < kSpaces; ++space) run(static_cast<Space>(space), "ip link set lo up");
  run(kOfSwitch, "ip link add switch type bridge && ip link set switch up");
  join(kOfServer, "server", "203.0.113.1/24");
  make_nat(kOfNat0, kOfInside0, 1);
  make_nat(kOfNat1, kOfInside1, 2);
}

NatNetwork::~NatNetwork() {
  for (const int space : spaces_)
    if (space >= 0) ::close(space);  // with its last process a namespace goes, and with it what is in it
}

std::string NatNetwork::path_of(Space space) const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(spaces_[space]);
}

/// A line for the shell; the first that fails is the failure.
void NatNetwork::run(Space space, const std::string& command) {
  if (!failure_.empty()) return;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setns(spaces_[space], CLONE_NEWNET) == 0) ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  if (status != 0) failure_ = "failed: " + command;
}

/// Between the switch and a host of the public network.
void NatNetwork::join(Space space, const std::string& interface, const std::string& address) {
  run(kOfSwitch, "ip link add " + interface + " type veth peer name wan netns " + path_of(space) + " && ip link set " + interface +
                     " master switch up");
  run(space, "ip address add " + address + " dev wan && ip link set wan up");
}

void NatNetwork::make_nat(Space nat, Space inside, unsigned number) {
  const std::string own = std::to_string(number);
  join(nat, "nat" + own, "203.0.113.1" + own + "/24");
  run(nat, "ip link add lan type veth peer name lan netns " + path_of(inside) + " && ip address add 192.168." + own +
               ".1/24 dev lan && ip link set lan up && echo 1 > /proc/sys/net/ipv4/ip_forward");
  run(inside, "ip address add 192.168." + own + ".2/24 dev lan && ip link set lan up && ip route add default via 192.168." + own + ".1");
  run(nat,
      "/usr/sbin/nft -f - <<'END'\n"
      "table ip nat { chain post { type nat hook postrouting priority 100; oifname wan masquerade; }; }\n"
      "table ip filter { chain input { type filter hook input priority 0; iifname wan ct state new drop; }\n"
      "                  chain forward { type filter hook forward priority 0; iifname wan ct state new drop; }; }\n"
      "END");
}

std::string NatNetwork::address(Host host) {
  switch (host) {
    case kServer: return "203.0.113.1";
    case kInside0: return "192.168.1.2";
    case kInside1: return "192.168.2.2";
  }
  return {};
}

std::string NatNetwork::public_address(Host host) {
  switch (host) {
    case kServer: return "203.0.113.1";
    case kInside0: return "203.0.113.11";
    case kInside1: return "203.0.113.12";
  }
  return {};
}

std::string NatNetwork::moved_address(Host host) { return host == kInside0 ? "203.0.113.21" : "203.0.113.22"; }

void NatNetwork::move_nat(Host host) {
  run(host == kInside0 ? kOfNat0 : kOfNat1, "ip address del " + public_address(host) + "/24 dev wan && ip address add " +
                                                moved_address(host) + "/24 dev wan");
}

bool NatNetwork::enter_thread(Host host) const { return ::setns(spaces_[host], CLONE_NEWNET) == 0; }

bool NatNetwork::enter(Host host) const {
  return enter_thread(host) && ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=16m") == 0;
}

}  // namespace rse
