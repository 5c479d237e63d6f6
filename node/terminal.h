// What the terminal behind a descriptor can show, and what COLUMNS, LINES and NO_COLOR ask for.
// Threads: any. Errors: none; what is no number says nothing.
#pragma once

namespace rse {

struct TerminalSize {
  int columns = 0, rows = 0;
};

/// What COLUMNS and LINES say, else the terminal, else `otherwise`.
TerminalSize terminal_size(int fd, TerminalSize otherwise);
/// Colours: a terminal and no NO_COLOR.
bool wants_color(int fd);

}  // namespace rse
