// A node of a braid in the guest: BraidNode with links in shared memory, a clock, a second thread for the tori, and no disk.
// Size: tori with default capacities, as far as they are touched. Threads: this one and the worker's. Errors: a sentence on the consoles.
// Open clusters only: nothing is encrypted, and nothing leaves the machine.
#pragma once

#include "guest_kernel/boot/options.h"
#include "guest_kernel/runtime/panic.h"

namespace rse::kernel {

/// Takes part until the machine ends; returns only what makes that impossible. `options.node` is given.
ExitCode run_node(const Options& options);

}  // namespace rse::kernel
