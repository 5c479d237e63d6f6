// By what addresses others reach a node, from those that it listens on and those of its machine.
// Threads: none. Memory: the addresses. Errors: none.
#pragma once

#include <asio/ip/address.hpp>

#include <string>
#include <vector>

namespace rse {

/// `listen`: HOST:PORT, ":PORT" for all of both families, udp:HOST:PORT, ivshmem:NAME. Each in turn gives one, as there is room for
/// kAddressesMax only. Where the machine has none that would do it is loopback's: others of this machine come in by that.
std::vector<std::string> own_addresses(const std::vector<std::string>& listen, const std::vector<asio::ip::address>& machine);

}  // namespace rse
