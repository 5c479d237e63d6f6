// What the terminal behind a descriptor can show.
// Threads: any. Errors: none.
#pragma once

#include <optional>

namespace rse {

struct TerminalSize {
  int columns = 0, rows = 0;
};

/// nullopt: no terminal, or one that does not say.
std::optional<TerminalSize> terminal_size(int fd);
/// Colours: a terminal and no NO_COLOR.
bool wants_color(int fd);

}  // namespace rse
