// `rse simulate` inside the guest: three tori in turn, without network or failures, from a scenario module.
// Threads: one. Memory: three tori with default capacities, as far as they are touched. Errors: a sentence on the consoles.
// Invariant: the digests are those of `rse simulate SCENARIO --epochs N` on any host.
#pragma once

#include <cstddef>
#include <span>

#include "guest_kernel/runtime/panic.h"
#include "torus/base/strong.h"

namespace rse::kernel {

/// `scenario`: the canonical bytes of encode_scenario(). Prints a line for each torus.
ExitCode simulate(std::span<const std::byte> scenario, Epoch epochs);

}  // namespace rse::kernel
