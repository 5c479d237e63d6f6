#include "node/own_addresses.h"

#include <asio/ip/tcp.hpp>

#include <algorithm>

#include "torus/braid/view.h"
#include "transport/ivshmem/ivshmem_address.h"
#include "transport/tcp/address.h"

namespace rse {
namespace {

constexpr std::string_view kUdp = "udp:";

std::vector<std::string> addresses_of(const std::string& listen, const std::vector<asio::ip::address>& machine) {
  std::string ignored;
  if (const auto shared = parse_ivshmem_address(listen, ignored)) return {advertised_text(*shared)};
  const std::string scheme = listen.starts_with(kUdp) ? std::string(kUdp) : "";
  const auto parsed = parse_host_port(listen.substr(scheme.size()));
  if (!parsed) return {listen};
  const auto only = numeric_endpoint(*parsed);  // none: both families, or a name
  if (only ? !only->address().is_unspecified() : !parsed->host.empty()) return {listen};
  std::vector<std::string> found;
  const auto add = [&](const asio::ip::address& address) { found.push_back(scheme + to_text({address, parsed->port})); };
  for (const auto& address : machine)
    if (!only || only->address().is_v4() == address.is_v4()) add(address);
  if (!found.empty()) return found;
  if (only && only->address().is_v6()) add(asio::ip::address_v6::loopback());
  else add(asio::ip::address_v4::loopback());
  return found;
}

}  // namespace

std::vector<std::string> own_addresses(const std::vector<std::string>& listen, const std::vector<asio::ip::address>& machine) {
  std::vector<std::vector<std::string>> of_each;
  std::size_t most = 0;
  for (const std::string& address : listen) most = std::max(most, of_each.emplace_back(addresses_of(address, machine)).size());
  std::vector<std::string> all;
  for (std::size_t i = 0; i < most; ++i) {
    for (const auto& addresses : of_each) {
      if (i >= addresses.size() || all.size() == kAddressesMax) continue;
      if (std::find(all.begin(), all.end(), addresses[i]) == all.end()) all.push_back(addresses[i]);
    }
  }
  return all;
}

}  // namespace rse
