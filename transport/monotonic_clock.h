// The clocks of a host. The guest kernel has its own (guest_kernel/arch/x86_64/clock.h).
// Threads: any. Memory, errors: none.
#pragma once

#include <time.h>

#include <cstdint>

#include "torus/base/strong.h"

namespace rse {

std::int64_t clock_nanoseconds(clockid_t clock);
/// The same for all processes of this machine.
Instant monotonic_now();

}  // namespace rse
