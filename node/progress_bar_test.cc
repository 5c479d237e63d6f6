#include "node/progress_bar.h"

#include <doctest/doctest.h>

using namespace rse;

TEST_CASE("progress: a bar on a terminal, words alone elsewhere and where it is too narrow") {
  const ProgressStyle plain{.terminal = true, .color = false, .columns = 80};
  CHECK(progress_line("simulating", "epochs", 500, 1000, 2, plain) ==
        "simulating  " + std::string(15, '#') + std::string(15, '-') + "  500 of 1000 epochs, 250/s, 2 s left");
  CHECK(progress_line("simulating", "epochs", 500, 1000, 2, {.terminal = false}) == "simulating: 500 of 1000 epochs, 250/s, 2 s left");
  CHECK(progress_line("simulating", "epochs", 500, 1000, 2, {.terminal = true, .columns = 50}) == "simulating: 500 of 1000 epochs, 250/s, 2 s left");
  const std::string colored = progress_line("simulating", "epochs", 500, 1000, 2, {.terminal = true, .color = true, .columns = 80});
  CHECK(colored.find("\x1b[32m#") != std::string::npos);
}

TEST_CASE("progress: no line is wider than the terminal, whatever the numbers") {
  for (int columns = 1; columns < 200; ++columns) {
    CAPTURE(columns);
    for (const std::uint64_t done : {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}})
      CHECK(progress_line("simulating", "epochs", done, ~std::uint64_t{0}, 3, {.terminal = true, .columns = columns}).size() <
            static_cast<std::size_t>(columns));
  }
}

TEST_CASE("progress: what has no end yet, or has passed it, draws no nonsense") {
  const ProgressStyle style{.terminal = true, .columns = 80};
  CHECK(progress_line("loading", "KB", 0, 0, 0, style).find('#') == std::string::npos);
  CHECK(progress_line("loading", "KB", 12, 10, 2, style).find("left") == std::string::npos);
}
