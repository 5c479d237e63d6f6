#include "transport/machine_addresses.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/ip/tcp.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <string>

namespace rse {
namespace {

constexpr std::size_t kAddressDigits = 32;
constexpr std::size_t kTableBytesMax = 1u << 20;  // some 18,000 addresses
constexpr std::size_t kInterfaceAddressesMax = 256;  // of each family
// linux/if_addr.h, which does not go with net/if.h everywhere: IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE.
constexpr unsigned kPassingFlags = 0x01 | 0x08 | 0x20 | 0x40;

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

template <class T>
bool parse_hex(std::string_view digits, T& value) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc() && end == digits.data() + digits.size();
}

/// "ADDRESS INDEX PREFIX SCOPE FLAGS NAME", all but the name hexadecimal.
std::optional<asio::ip::address_v6> passing_in(std::string_view line) {
  const std::string_view digits = next_word(line);
  for (int skipped = 0; skipped < 3; ++skipped) next_word(line);
  unsigned flags = 0;
  if (digits.size() != kAddressDigits || !parse_hex(next_word(line), flags) || (flags & kPassingFlags) == 0) return {};
  asio::ip::address_v6::bytes_type bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (!parse_hex(digits.substr(2 * i, 2), bytes[i])) return {};
  return asio::ip::address_v6(bytes);
}

/// Of the calling thread's network.
std::string read_table() {
  std::string table;
  const int file = ::open("/proc/thread-self/net/if_inet6", O_RDONLY | O_CLOEXEC);
  if (file < 0) return table;  // without IPv6
  std::array<char, 4096> piece;
  for (ssize_t size = 0; table.size() < kTableBytesMax && (size = ::read(file, piece.data(), piece.size())) > 0;)
    table.append(piece.data(), static_cast<std::size_t>(size));
  ::close(file);
  return table;
}

std::optional<asio::ip::address> address_of(const ifaddrs& entry) {
  if (entry.ifa_addr == nullptr || (entry.ifa_flags & IFF_UP) == 0 || (entry.ifa_flags & IFF_LOOPBACK) != 0) return {};
  if (entry.ifa_addr->sa_family == AF_INET)
    return asio::ip::address_v4(ntohl(reinterpret_cast<const sockaddr_in*>(entry.ifa_addr)->sin_addr.s_addr));
  if (entry.ifa_addr->sa_family != AF_INET6) return {};
  const in6_addr& found = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr;
  asio::ip::address_v6::bytes_type bytes;
  std::copy_n(found.s6_addr, bytes.size(), bytes.begin());
  return asio::ip::address_v6(bytes);
}

}  // namespace

std::set<asio::ip::address_v6> passing_v6(std::string_view table) {
  std::set<asio::ip::address_v6> passing;
  for (std::size_t end = 0; (end = table.find('\n')) != std::string_view::npos; table.remove_prefix(end + 1)) {
    const std::string_view line = table.substr(0, end);
    if (const auto address = passing_in(line)) passing.insert(*address);
  }
  return passing;
}

std::vector<asio::ip::address> machine_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  const std::set<asio::ip::address_v6> passing = passing_v6(read_table());
  std::vector<asio::ip::address> v4, v6;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    const auto address = address_of(*at);
    if (!address || address->is_loopback()) continue;
    if (address->is_v6() && (address->to_v6().is_link_local() || passing.contains(address->to_v6()))) continue;
    std::vector<asio::ip::address>& family = address->is_v4() ? v4 : v6;
    if (family.size() < kInterfaceAddressesMax) family.push_back(*address);
  }
  std::vector<asio::ip::address> all;
  for (std::size_t i = 0; i < std::max(v4.size(), v6.size()); ++i) {
    if (i < v4.size()) all.push_back(v4[i]);
    if (i < v6.size()) all.push_back(v6[i]);
  }
  return all;
}

/// The kernel binds to no other.
bool machine_has(const asio::ip::address& address) {
  const asio::ip::tcp::endpoint wanted(address, 0);
  const int socket = ::socket(wanted.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const bool bound = ::bind(socket, wanted.data(), static_cast<socklen_t>(wanted.size())) == 0;
  ::close(socket);
  return bound;
}

}  // namespace rse
