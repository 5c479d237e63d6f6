// A node's links over UDP: transport/udp/udp_core.h around the kernel's network.
// Size: one port, IPv4. Threads: the kernel's first. Memory: the core's bounds. Errors: sentences. Not known here: that a peer's
// machine refuses, so that a death is always silence; names, so that addresses are numbers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "guest_kernel/boot/options.h"
#include "guest_kernel/net/network.h"
#include "guest_kernel/node/carrier.h"
#include "transport/secure/trust_book.h"

namespace rse::kernel {

/// Waits for an address, when a DHCP server has to give it. nullptr: `why` says so. `trust`: null: nothing is encrypted.
std::unique_ptr<Carrier> make_udp_carrier(const Options& options, std::shared_ptr<const TrustBook> trust, std::string& own_address,
                                          std::string& why);

}  // namespace rse::kernel
