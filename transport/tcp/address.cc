#include "transport/tcp/address.h"

#include <asio/error.hpp>
#include <asio/ip/address.hpp>

#include <algorithm>
#include <charconv>

namespace rse {

std::optional<HostPort> parse_host_port(const std::string& text) {
  HostPort address;
  std::string port;
  const auto colon = text.rfind(':');
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string::npos) return std::nullopt;
    address.host = text.substr(1, end - 1);
    const std::string rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return std::nullopt;
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return std::nullopt;
  } else if (std::count(text.begin(), text.end(), ':') > 1) {
    address.host = text;  // an IPv6 address without brackets has no port
  } else if (colon != std::string::npos) {
    address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return std::nullopt;
  } else {
    if (text.empty()) return std::nullopt;
    address.host = text;
  }
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size()) return std::nullopt;
  }
  return address;
}

std::optional<asio::ip::tcp::endpoint> numeric_endpoint(const HostPort& address) {
  std::error_code error;
  const auto number = asio::ip::make_address(address.host, error);
  if (error) return std::nullopt;
  return asio::ip::tcp::endpoint(number, address.port);
}

std::string host_of(const asio::ip::address& address) {
  if (address.is_v4()) return address.to_string();
  if (address.to_v6().is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes).to_string() + "/64";
}

std::string to_text(const asio::ip::tcp::endpoint& endpoint) {
  const auto& address = endpoint.address();
  const std::string port = std::to_string(endpoint.port());
  return address.is_v6() ? "[" + address.to_string() + "]:" + port : address.to_string() + ":" + port;
}

std::string dial_failure_text(const std::string& address, const std::error_code& error) {
  const std::string what = "cannot reach " + address + ": ";
  if (error == asio::error::connection_refused)
    return what + "nothing listens there; start rse-node on that machine or correct the address";
  if (error == asio::error::timed_out)
    return what + "no answer; check that the machine is up and that no firewall is between";
  if (error == asio::error::host_unreachable || error == asio::error::network_unreachable)
    return what + "no route to it; check the network of both machines";
  return what + error.message() + "; check the address and the network";
}

std::string resolve_failure_text(const std::string& action, const std::string& address, const std::error_code& error) {
  const auto parsed = parse_host_port(address);
  if (!parsed) return action + " " + address + ": this is no HOST:PORT; write for example 10.0.0.7:7400 or [::1]:7400";
  return action + " " + address + ": the name " + parsed->host + " does not resolve (" + error.message() +
         "); correct it or give the IP address";
}

std::string listen_failure_text(const std::string& address, const std::error_code& error) {
  const std::string what = "cannot listen on " + address + ": ";
  if (error == asio::error::address_in_use)
    return what + "another process uses this port; stop it (`ss -ltnp` shows which) or choose another port";
  if (error == asio::error::access_denied)
    return what + "ports below 1024 need privileges; choose a higher port";
  if (error == std::errc::address_not_available)
    return what + "no network interface of this machine has this address; use one that `ip address` shows, or 0.0.0.0";
  return what + error.message() + "; choose another address";
}

}  // namespace rse
