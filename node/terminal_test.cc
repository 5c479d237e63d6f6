#include "node/terminal.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

using namespace rse;

namespace {

TerminalSize asked_for(const char* columns, const char* lines) {
  ::setenv("COLUMNS", columns, 1);
  ::setenv("LINES", lines, 1);
  const int file = ::open("/dev/null", O_RDONLY);
  const TerminalSize size = terminal_size(file, {.columns = 80, .rows = 24});
  ::close(file);
  return size;
}

}  // namespace

TEST_CASE("terminal: COLUMNS and LINES say how large it is, and what is no size says nothing") {
  CHECK(asked_for("132", "50").columns == 132);
  CHECK(asked_for("132", "50").rows == 50);
  CHECK(asked_for("", "").columns == 80);
  CHECK(asked_for("0", "-3").columns == 80);
  CHECK(asked_for("0", "-3").rows == 24);
  CHECK(asked_for("90 wide", "x").columns == 80);
  CHECK(asked_for("1000000", "24").columns == 1000);
}
