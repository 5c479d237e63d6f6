// A status as people read it: verdict first, then a row a node and a row a torus. Used by `rse status` and the launchers.
// Threads: none. Memory: the returned text. Errors: none.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/rse/v1/control.pb.h"

namespace rse {

struct StatusStyle {
  bool color = false;
  int columns = 100;
};

/// `before` and `seconds` since it was taken give rates; without them the column is left out.
std::string render_status(const v1::StatusReply& status, const v1::StatusReply* before, double seconds,
                          const StatusStyle& style);
/// The name of a node as the status knows it, else 16 hex digits.
std::string node_name(const v1::StatusReply& status, std::uint64_t node);
/// For how long: "12 ms", "98.4 s".
std::string seconds_text(std::uint64_t nanoseconds);
/// Of a node that is no member yet and has no link: what became of its newest attempts, a sentence each. Else none.
std::vector<std::string> why_not_joined(const v1::StatusReply& status);
/// "tcp 10.0.0.7:7400, AES-256-GCM".
std::string link_text(const v1::LinkStatus& link);
/// How far the rebuilding of a torus is, 0 to 1: half for the regions, half for the epochs. 1 only when it runs, whose state was
/// compared then. nullopt: only its host can tell, and that is not the node that was asked.
std::optional<double> rebuilt_share(const v1::TorusStatus& torus);
/// Members that may host: all but observers.
int host_count(const v1::StatusReply& status);
/// kExitDone or kExitDegraded.
int exit_code_of(const v1::StatusReply& status);
/// 12,345,678 as "12.3 M".
std::string short_number(double value);

}  // namespace rse
