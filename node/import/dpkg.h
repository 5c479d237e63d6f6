// Debian's package database as a network: a package is a node, and an edge leads from a package to
// each one that depends on it, so that an event at a package reaches everything that would miss it.
// Threads: none. Memory: the text and the graph. Errors: a sentence with file and line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "node/import/graph.h"

namespace rse {

inline constexpr char kDpkgStatusFile[] = "/var/lib/dpkg/status";

/// Reads a dpkg status file; `file` only names it in messages. Installed packages only. Depends and
/// Pre-Depends count; of alternatives every installed one; a virtual package stands for its
/// installed providers; versions are ignored. A package of a foreign architecture is named
/// `name:architecture`. Delay: 1 + the dependent's installed size in KiB divided by 64, at most
/// kDpkgDelayMax.
std::optional<Graph> parse_dpkg_status(std::string_view text, const std::string& file,
                                       std::string& failure);
inline constexpr std::uint32_t kDpkgDelayMax = 10'000;

}  // namespace rse
