// The picture of the benchmark: nanoseconds an event against pending events, both logarithmic, as SVG.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/engine_series.h"

namespace rse {

/// Of the rows of the series "pending"; a line for each model and one for its heap, dashed.
std::string plot_cost(const std::vector<Row>& rows);

}  // namespace rse
