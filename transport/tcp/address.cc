#include "transport/tcp/address.h"

#include <asio/error.hpp>
#include <asio/ip/address.hpp>

#include <algorithm>
#include <cerrno>

#include "transport/handshake.h"

namespace rse {
namespace {

asio::ip::address without_mapping(const asio::ip::address& address) {
  if (address.is_v4() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

/// Asio has no name for it, and its category no std::errc.
bool is_not_available(const std::error_code& error) { return error == std::error_code(EADDRNOTAVAIL, asio::error::get_system_category()); }

/// What a kernel without IPv6 says, or one that has it turned off.
bool is_without_v6(const std::error_code& error) {
  return error == asio::error::address_family_not_supported || is_not_available(error);
}

}  // namespace

std::optional<asio::ip::tcp::endpoint> numeric_endpoint(const HostPort& address) {
  std::error_code error;
  const auto number = asio::ip::make_address(address.host, error);
  if (error) return std::nullopt;
  return asio::ip::tcp::endpoint(without_mapping(number), address.port);
}

std::string host_of(const asio::ip::address& shown) {
  const asio::ip::address address = without_mapping(shown);
  if (address.is_v4()) return address.to_string();
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes).to_string() + "/64";
}

std::string to_text(const asio::ip::tcp::endpoint& endpoint) {
  const auto address = without_mapping(endpoint.address());
  const std::string port = std::to_string(endpoint.port());
  return address.is_v6() ? "[" + address.to_string() + "]:" + port : address.to_string() + ":" + port;
}

std::string listen_on_each(asio::io_context& loop, const std::string& scheme, const std::string& address, const OpenListener& open) {
  using asio::ip::tcp;
  const auto parsed = parse_host_port(address);
  if (!parsed) return resolve_failure_text("cannot listen on", address, {});
  const auto text_of = [&](const std::error_code& error) { return error ? listen_failure_text(scheme + address, error) : std::string(); };
  if (parsed->host.empty()) {
    tcp::endpoint v4(tcp::v4(), parsed->port);
    if (const std::error_code error = open(v4)) return text_of(error);
    tcp::endpoint v6(tcp::v6(), v4.port());
    const std::error_code error = open(v6);
    return is_without_v6(error) ? std::string() : text_of(error);
  }
  auto endpoint = numeric_endpoint(*parsed);
  if (!endpoint) {
    std::error_code error;
    const auto found = tcp::resolver(loop).resolve(parsed->host, std::to_string(parsed->port), error);
    if (error || found.empty()) return resolve_failure_text("cannot listen on", address, error);
    endpoint = found.begin()->endpoint();
  }
  return text_of(open(*endpoint));
}

std::string dial_failure_text(const std::string& address, const std::error_code& error) {
  if (error == asio::error::connection_refused) return nothing_listens_text(address);
  if (error == asio::error::timed_out) return no_answer_text(address);
  const std::string what = "cannot reach " + address + ": ";
  if (error == asio::error::host_unreachable || error == asio::error::network_unreachable)
    return what + "no route to it; check the network of both machines";
  if (is_not_available(error)) return what + "this machine has no address of its kind to reach it from; give one of another family, or check `ip address`";
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
  if (is_not_available(error))
    return what + "no network interface of this machine has this address; use one that `ip address` shows, or :PORT for all";
  return what + error.message() + "; choose another address";
}

}  // namespace rse
