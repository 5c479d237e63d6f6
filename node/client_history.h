// The past of a cluster, from the histories of all nodes within reach, or of data directories of nodes that are gone.
// Threads: one. Memory: some thousand incidents a node. Errors: ControlFailure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/control_client.h"
#include "node/history/story.h"

namespace rse {

struct HistoryQuestion {
  std::vector<std::string> control;
  std::vector<std::string> data_directories;  // if there are any, no daemon is asked
  std::uint32_t incidents = 1000;             // of each node, the newest
  std::uint32_t samples = 0;
};

struct Past {
  std::vector<v1::HistoryReply> histories;  // one a node
  NodeNames names;
};

/// nullopt: nobody has a history; `failure` is the last reason.
std::optional<Past> ask_past(const HistoryQuestion& question, ControlFailure& failure);

/// "a:17", the name of the story (and of any incident) for `rse incident`.
std::string incident_name(const NodeNames& names, std::uint64_t by, std::uint64_t number);
struct PastLine {
  std::uint64_t unix_nanoseconds = 0;
  std::string name;    // incident_name()
  std::string text;
  bool death = false;
};
/// What belongs to a death is told by its story; the rest, each thing once, though several nodes may have seen it.
std::vector<PastLine> past_lines(const std::vector<Told>& told, const NodeNames& names);
/// "2026-11-26 13:02:11.123", UTC.
std::string utc_text(std::uint64_t unix_nanoseconds);

}  // namespace rse
