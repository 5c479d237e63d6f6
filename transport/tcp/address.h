// "host:port" in and out of Asio's endpoints, and what to tell people when one does not work.
// Threads: none. Memory: the strings. Errors: nullopt.
#pragma once

#include <asio/ip/tcp.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

namespace rse {

inline constexpr std::uint16_t kTcpDefaultPort = 7400;

struct HostPort {
  std::string host;  // name or number, without brackets; empty: all interfaces
  std::uint16_t port = kTcpDefaultPort;
};
/// "host", "host:port", ":port", "10.0.0.7:port", "[::1]:port", "::1".
std::optional<HostPort> parse_host_port(const std::string& text);
/// When the host is a number; a name has to be resolved.
std::optional<asio::ip::tcp::endpoint> numeric_endpoint(const HostPort& address);
/// What a stranger cannot choose freely: an IPv4 address, or the network half of an IPv6 address.
std::string host_of(const asio::ip::address& address);
std::string to_text(const asio::ip::tcp::endpoint& endpoint);

std::string dial_failure_text(const std::string& address, const std::error_code& error);
std::string resolve_failure_text(const std::string& action, const std::string& address, const std::error_code& error);
std::string listen_failure_text(const std::string& address, const std::error_code& error);

}  // namespace rse
