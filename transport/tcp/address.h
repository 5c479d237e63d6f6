// "host:port" in and out of Asio's endpoints, and what to tell people when one does not work.
// Threads: none. Memory: the strings. Errors: nullopt.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include <functional>
#include <optional>
#include <string>
#include <system_error>

#include "transport/host_port.h"

namespace rse {

/// When the host is a number; a name has to be resolved. An IPv4 address in IPv6's clothes ("::ffff:10.0.0.7") is the IPv4 address.
std::optional<asio::ip::tcp::endpoint> numeric_endpoint(const HostPort& address);
/// What a stranger cannot choose freely: an IPv4 address, or the network half of an IPv6 address.
std::string host_of(const asio::ip::address& address);
std::string to_text(const asio::ip::tcp::endpoint& endpoint);

/// Calls `open` for each endpoint that listening on `address` ("HOST:PORT", without its scheme) means: of ":PORT" both families'
/// wildcards on one port, where a machine without IPv6 does with IPv4. `open` makes a socket for one family only, and tells the port
/// that it was given where that was 0. Waits for the resolver where the host is a name. Empty: done.
using OpenListener = std::function<std::error_code(asio::ip::tcp::endpoint& own)>;
std::string listen_on_each(asio::io_context& loop, const std::string& scheme, const std::string& address, const OpenListener& open);

std::string dial_failure_text(const std::string& address, const std::error_code& error);
std::string resolve_failure_text(const std::string& action, const std::string& address, const std::error_code& error);
std::string listen_failure_text(const std::string& address, const std::error_code& error);

}  // namespace rse
