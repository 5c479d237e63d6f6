// Scenarios as text: protobuf text format of rse.v1.Scenario (DESIGN 5) to and from the plain struct that the tori load.
// Threads: any. Memory: the text, its message and the result at the same time. Errors: the first one, as a sentence
// "FILE:LINE:COLUMN: what; next step". Invariant: parse(to_text(s)) == s, down to the canonical bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "torus/braid/scenario.h"

namespace rse {

/// `file` only names the text in messages. Nothing but what DESIGN 5 names is accepted; what depends on a torus's pools
/// or on a program's arguments shows when it is loaded.
std::optional<Scenario> parse_scenario(std::string_view text, const std::string& file,
                                       std::string& failure);

/// Reads and parses a file; "-" is stdin.
std::optional<Scenario> read_scenario(const std::string& file, std::string& failure);

/// One entry a line.
std::string to_text(const Scenario& scenario);

/// Appends the entries of `more`; the settings stay those of `scenario`.
void merge_scenario(Scenario& scenario, const Scenario& more);

}  // namespace rse
