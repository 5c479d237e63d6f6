// Addresses of this machine's network interfaces by which others may reach it.
// Threads: any. Memory: the addresses. Errors: what cannot be read counts as not there.
#pragma once

#include <asio/ip/address.hpp>

#include <set>
#include <string_view>
#include <vector>

namespace rse {

/// Those of interfaces that are up, without loopback, link-local ones (of no use without their interface), and of IPv6 those that
/// passing_v6() names. The families take turns, IPv4 first: whoever has room for few takes some of both.
std::vector<asio::ip::address> machine_addresses();

/// Of a table as in /proc/net/if_inet6: addresses that are not this machine's for certain yet (duplicate address detection runs, or
/// has found another owner), are about to go (deprecated), or change every day to hide the machine (temporary, RFC 8981). What is no
/// line of such a table is passed over.
std::set<asio::ip::address_v6> passing_v6(std::string_view table);

/// Whether an interface of this machine has it now, of whatever kind.
bool machine_has(const asio::ip::address& address);

}  // namespace rse
