// Time in the guest: nanoseconds since start from the time-stamp counter, and one alarm by the local APIC's timer.
// Size: static. Threads: any. Memory: none. Errors: a machine without a working PIT is a panic that says so.
// Invariant: now() never goes backwards on one processor (the counter is invariant on every CPU of the last fifteen years).
#pragma once

#include "torus/base/strong.h"

namespace rse::kernel {

/// Measures counter and timer against the PIT: the least of several samples, because a delay can only lengthen one.
void start_clock();
Instant now();

/// Raises the timer's interrupt at `when`, or a bit later; a new alarm replaces the old one.
void set_alarm(Instant when);
/// Called from the interrupt, with interrupts off.
using AlarmHandler = void (*)(struct Frame& frame, void* context);
void on_alarm(AlarmHandler handler, void* context);

}  // namespace rse::kernel
