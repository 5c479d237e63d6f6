// "host:port" as people write it, for TCP and UDP, on hosts and in the guest kernel.
// Threads: none. Memory: the strings. Errors: nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace rse {

inline constexpr std::uint16_t kTcpDefaultPort = 7400;

struct HostPort {
  std::string host;  // name or number, without brackets; empty: all interfaces
  std::uint16_t port = kTcpDefaultPort;
};
/// "host", "host:port", ":port", "10.0.0.7:port", "[::1]:port", "::1".
std::optional<HostPort> parse_host_port(const std::string& text);
/// The same, "udp:" before it or not.
std::optional<HostPort> parse_network_address(const std::string& text);

}  // namespace rse
