// Text for machines: what goes between the quotes of a JSON string.
// Threads: any. Memory: the returned text. Errors: none.
#pragma once

#include <string>
#include <string_view>

namespace rse {

/// Quotes, backslashes and control characters escaped.
std::string json_escaped(std::string_view text);

}  // namespace rse
