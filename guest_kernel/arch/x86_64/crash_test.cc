// Crashes on purpose, each in a guest of its own: tests of the reports (guest_kernel/test/guest_test.cc reads them).
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "guest_kernel/test/test.h"
#include "torus/base/assert.h"

namespace rse::kernel {
namespace {

template <class Action>
[[gnu::noinline]] void crash_here(Action action) {
  action();
  asm volatile("");  // or the call above becomes a jump
}

// Ends by the guard page below the stack.
[[gnu::noinline]] std::uint64_t fill_stack(std::uint64_t depth) {
  if (depth == ~std::uint64_t{0}) return 0;
  volatile std::uint64_t words[64];
  words[depth % 64] = depth;
  return fill_stack(depth + 1) + words[depth % 64];
}

const std::uint64_t constant[2] = {1, 2};

/// The same address, of which the compiler knows nothing.
volatile std::uint64_t* hidden(std::uint64_t address) {
  asm volatile("" : "+r"(address));
  return reinterpret_cast<volatile std::uint64_t*>(address);
}

}  // namespace

TEST_CASE("crash-null") {
  crash_here([] { *hidden(0x10) = 1; });
}
TEST_CASE("crash-constant") {
  crash_here([] { *hidden(reinterpret_cast<std::uint64_t>(&constant[1])) = 3; });
}
TEST_CASE("crash-execute") {
  const auto code = std::make_unique<std::uint8_t[]>(16);
  code[0] = 0xc3;
  reinterpret_cast<void (*)()>(code.get())();
}
TEST_CASE("crash-overflow") { CHECK(fill_stack(0) == 0); }
TEST_CASE("crash-invalid") {
  crash_here([] { asm volatile("ud2"); });
}
TEST_CASE("crash-assertion") {
  crash_here([] { RSE_ASSERT(*hidden(reinterpret_cast<std::uint64_t>(constant)) == 2, "on purpose"); });
}
TEST_CASE("crash-memory") {
  for (;;) *hidden(reinterpret_cast<std::uint64_t>(operator new(1u << 20))) = 1;
}
TEST_CASE("crash-freed") {
  crash_here([] {
    void* const block = std::malloc(1u << 20);
    const auto address = reinterpret_cast<std::uint64_t>(block);
    *hidden(address) = 1;
    std::free(block);
    *hidden(address) = 2;
  });
}

}  // namespace rse::kernel
