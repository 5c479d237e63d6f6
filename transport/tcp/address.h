// "host:port" in and out of Asio's endpoints, and what to tell people when one does not work.
// Threads: none. Memory: the strings. Errors: nullopt.
#pragma once

#include <asio/ip/tcp.hpp>

#include <optional>
#include <string>
#include <system_error>

#include "transport/host_port.h"

namespace rse {

/// When the host is a number; a name has to be resolved.
std::optional<asio::ip::tcp::endpoint> numeric_endpoint(const HostPort& address);
/// What a stranger cannot choose freely: an IPv4 address, or the network half of an IPv6 address.
std::string host_of(const asio::ip::address& address);
std::string to_text(const asio::ip::tcp::endpoint& endpoint);

std::string dial_failure_text(const std::string& address, const std::error_code& error);
std::string resolve_failure_text(const std::string& action, const std::string& address, const std::error_code& error);
std::string listen_failure_text(const std::string& address, const std::error_code& error);

}  // namespace rse
