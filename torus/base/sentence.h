// Texts that people are shown: nothing else may reach a terminal or a page.
// Threads: any. Memory, errors: none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rse {

/// UTF-8 without control characters.
bool is_sentence(std::string_view text);
/// Cuts what is longer than `bytes_max`, at the end of a character.
void cut_sentence(std::string& text, std::size_t bytes_max);

}  // namespace rse
