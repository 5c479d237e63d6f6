// A node's links over ivshmem: transport/ivshmem/links.h around the kernel's device. Clusters there are open: a guest that shares
// a memory is trusted by whoever gave it to it.
// Threads: the kernel's first. Memory: the shared one. Errors: sentences.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "guest_kernel/boot/options.h"
#include "guest_kernel/node/carrier.h"

namespace rse::kernel {

/// nullptr: `why` says so.
std::unique_ptr<Carrier> make_shared_memory(const Options& options, std::string& why);

}  // namespace rse::kernel
