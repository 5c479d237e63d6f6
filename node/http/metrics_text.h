// What the nodes count, as Prometheus reads it. The names are part of the interface: docs/reference/http.md.
// Threads, memory: none. Errors: none.
#pragma once

#include <string>
#include <vector>

#include "proto/rse/v1/control.pb.h"

namespace rse {

/// Of the nodes that answered, each with the label `node`; tori as the first of them sees them.
std::string metrics_text(const std::vector<v1::StatusReply>& statuses);

}  // namespace rse
