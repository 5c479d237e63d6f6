// kernel_main() of the image that tests itself.
#include "guest_kernel/kernel_main.h"
#include <string_view>

#include "guest_kernel/runtime/print.h"
#include "guest_kernel/test/test.h"

namespace rse::kernel {
namespace {

std::size_t checks = 0;
std::size_t failures = 0;

}  // namespace

void test_check(bool holds, const char* expression, const char* file, int line) {
  ++checks;
  if (holds) return;
  ++failures;
  print_line(file, ":", line, ": FAILED: ", expression);
}

void test_require_failed(const char* expression, const char* file, int line) {
  print_line(file, ":", line, ": FAILED: ", expression);
  end_run(ExitCode::kFailed);
}

/// Cases that end in a panic or need a device are run by name only, each by a guest of its own.
static bool is_wanted(std::string_view name, std::string_view word) {
  if (!word.empty()) return name.find(word) != std::string_view::npos;
  return !name.starts_with("crash-") && !name.starts_with("device-");
}

ExitCode kernel_main(const BootInfo&, const Options& options) {
  std::size_t cases = 0;
  for (const TestCase* test = TestCase::first; test != nullptr; test = test->next) {
    if (!is_wanted(test->name, options.test)) continue;
    print_line("test: ", test->name);
    test->body();
    ++cases;
  }
  print_line("tests: cases=", cases, " checks=", checks, " failed=", failures);
  return failures == 0 && cases != 0 ? ExitCode::kDone : ExitCode::kFailed;
}

}  // namespace rse::kernel
