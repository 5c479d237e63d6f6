// The first program of a Linux that is started beside our kernel (guest_bench.cc): says that it runs, and sleeps. Without a library,
// so that it is nothing but a program.
#include <sys/syscall.h>

namespace {

long call(long number, long first, const void* second, long third) {
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second), "d"(third) : "rcx", "r11", "memory");
  return result;
}

}  // namespace

extern "C" [[noreturn]] void _start() {
  static const char text[] = "linux: first program\n";
  call(SYS_write, 1, text, sizeof text - 1);
  for (;;) call(SYS_pause, 0, nullptr, 0);
}
