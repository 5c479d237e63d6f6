// Any network as text: one edge a line, `from<TAB>to[<TAB>delay]`.
// Threads: none. Memory: the text and the graph. Errors: a sentence with file and line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "node/import/graph.h"

namespace rse {

/// `file` only names the text in messages. Empty lines and lines that start with # are nothing;
/// delay is 1 unless given. The same edge twice: the later delay counts.
std::optional<Graph> parse_edge_list(std::string_view text, const std::string& file,
                                     std::string& failure);

}  // namespace rse
