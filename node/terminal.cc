#include "node/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace rse {
namespace {

constexpr int kAskedMax = 1000;

int asked_or(const char* variable, int otherwise) {
  const char* given = std::getenv(variable);
  const std::string_view text = given == nullptr ? "" : given;
  int number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && rest == text.data() + text.size();
  return whole && number > 0 ? std::min(number, kAskedMax) : otherwise;
}

}  // namespace

TerminalSize terminal_size(int fd, TerminalSize otherwise) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) otherwise = {size.ws_col, size.ws_row};
  return {asked_or("COLUMNS", otherwise.columns), asked_or("LINES", otherwise.rows)};
}

bool wants_color(int fd) {
  const char* refused = std::getenv("NO_COLOR");
  return ::isatty(fd) == 1 && (refused == nullptr || *refused == '\0');
}

}  // namespace rse
