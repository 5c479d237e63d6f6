// Global constraints (DESIGN 2.3): what the three tori say must add up. A broken law is an alarm, never corrected.
// Size: a few comparisons an epoch. Threads: none. Memory: a string when a law is broken. Errors: none.
#pragma once

#include <string>

#include "torus/braid/cut_rule.h"
#include "torus/engine/torus.h"

namespace rse {

/// The first law that the projections of one epoch break, seen by torus `own` right after it has delivered the batches of
/// that epoch; empty: none. A sentence for the operator.
std::string broken_law(const Projections& projections, const Torus& own);

}  // namespace rse
