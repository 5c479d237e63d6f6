#include "transport/host_port.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace rse {
namespace {

/// What can be an IPv6 address, with or without "%INTERFACE"; a URL, for one, cannot.
bool looks_like_ipv6(std::string_view host) {
  return host.substr(0, host.find('%')).find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

}  // namespace

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
  if (address.host.find(':') != std::string::npos && !looks_like_ipv6(address.host)) return std::nullopt;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size()) return std::nullopt;
  }
  return address;
}

std::optional<HostPort> parse_network_address(const std::string& text) {
  constexpr std::string_view kUdp = "udp:";
  return parse_host_port(text.starts_with(kUdp) ? text.substr(kUdp.size()) : text);
}

}  // namespace rse
