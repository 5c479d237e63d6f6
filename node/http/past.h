// What the nodes of this machine have kept of the past, as the page reads it: straight from their history files, so that nobody's
// loop has work with it, not even after a node has died.
// Size: answers of some tens of KB, whatever the span. Threads: none of its own; not the braid's. Memory: one page of samples at a
// time. Errors: a file that cannot be read is left out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace rse {

inline constexpr std::uint32_t kPastIncidentsMax = 240;  // of each node
inline constexpr std::uint64_t kPastPoints = 600;        // of a series

/// {"histories":[HistoryReply, ...]}: the newest incidents of each.
std::string past_incidents_json(const std::vector<std::string>& data_directories);
/// Rates and the slowest link's round trip over the `span` before `now`, in at most kPastPoints steps:
/// {"step_seconds":1,"seconds":[...],"events":[[A...],[B...],[C...]],"epochs":[...],"rtt_milliseconds":[...]}; null: not known.
std::string past_series_json(const std::vector<std::string>& data_directories, std::chrono::seconds span, std::uint64_t now_unix_seconds);

}  // namespace rse
