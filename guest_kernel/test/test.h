// One test source for two places: on the host it is a doctest binary, in the guest a few macros do the same, so that a
// frame allocator or a queue is tested by the compiler flags and on the memory that it will run with.
// Size: one static object a test case. Threads, memory: none. Errors: a failed check is printed and counted; a failed REQUIRE ends the run.
#pragma once

#ifndef RSE_GUEST_KERNEL
#include <doctest/doctest.h>
#else

namespace rse::kernel {

class TestCase {
 public:
  TestCase(const char* name, void (*body)()) : name(name), body(body), next(first) { first = this; }
  const char* const name;
  void (*const body)();
  TestCase* const next;
  static inline TestCase* first = nullptr;
};

/// Counts, and prints a failed one.
void test_check(bool holds, const char* expression, const char* file, int line);
/// Prints and ends the run.
[[noreturn]] void test_require_failed(const char* expression, const char* file, int line);

}  // namespace rse::kernel

#define RSE_TEST_JOIN_(a, b) a##b
#define RSE_TEST_JOIN(a, b) RSE_TEST_JOIN_(a, b)
#define RSE_TEST_CASE(function, name)                                                      \
  static void function();                                                                  \
  static ::rse::kernel::TestCase RSE_TEST_JOIN(function, _case)(name, function);           \
  static void function()
#define TEST_CASE(name) RSE_TEST_CASE(RSE_TEST_JOIN(test_body_, __LINE__), name)
#define CHECK(...) ::rse::kernel::test_check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_FALSE(...) ::rse::kernel::test_check(!static_cast<bool>(__VA_ARGS__), "not " #__VA_ARGS__, __FILE__, __LINE__)
#define REQUIRE(...)                                                                                \
  do {                                                                                              \
    if (!static_cast<bool>(__VA_ARGS__))                                                            \
      ::rse::kernel::test_require_failed(#__VA_ARGS__, __FILE__, __LINE__);                         \
  } while (false)
#define CAPTURE(...) static_cast<void>(0)

#endif
