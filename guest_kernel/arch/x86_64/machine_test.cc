#include <array>
#include <cstdint>
#include <cstring>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/interrupts.h"
#include "guest_kernel/test/test.h"
#include "torus/base/digest.h"

namespace rse::kernel {
namespace {

volatile std::uint64_t alarms = 0;

/// Fires as fast as the timer can, and spoils what an interrupt may not spoil unless it saves it.
void alarm_again(Frame&, void*) {
  alarms = alarms + 1;
  asm volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm7, %%xmm7" : : : "xmm0", "xmm7");
  set_alarm(now() + Duration{1000});
}

void stop_alarms() {
  on_alarm([](Frame&, void*) {}, nullptr);
}

/// Keeps values below the stack pointer and in an SSE register, as leaf functions of user-space libraries do. True: all kept.
[[gnu::noinline]] bool use_red_zone(std::uint64_t rounds) {
  std::uint64_t wrong;
  asm volatile(
      "movq %[rounds], %%rcx\n\t"
      "xorl %%eax, %%eax\n"
      "1:\n\t"
      "movq %%rcx, -8(%%rsp)\n\t"
      "movq %%rcx, -64(%%rsp)\n\t"
      "movq %%rcx, -128(%%rsp)\n\t"
      "movq %%rcx, %%xmm7\n\t"
      "jmp 2f\n"  // an emulator looks for interrupts only between blocks
      "2:\n\t"
      "movq %%xmm7, %%rdx\n\t"
      "xorq %%rcx, %%rdx\n\torq %%rdx, %%rax\n\t"
      "movq -8(%%rsp), %%rdx\n\txorq %%rcx, %%rdx\n\torq %%rdx, %%rax\n\t"
      "movq -64(%%rsp), %%rdx\n\txorq %%rcx, %%rdx\n\torq %%rdx, %%rax\n\t"
      "movq -128(%%rsp), %%rdx\n\txorq %%rcx, %%rdx\n\torq %%rdx, %%rax\n\t"
      "decq %%rcx\n\tjnz 1b"
      : "=&a"(wrong)
      : [rounds] "r"(rounds)
      : "rcx", "rdx", "xmm7", "memory", "cc");
  return wrong == 0;
}

constexpr std::uint64_t kAlarmsWanted = 100;
// An emulator on a busy host delivers few alarms a second; the count decides, the time only ends a test that gets none.
constexpr Duration kAlarmsWait = milliseconds(20'000);

}  // namespace

TEST_CASE("machine: the red zone and SSE registers survive hundreds of interrupts") {
  alarms = 0;
  on_alarm(alarm_again, nullptr);
  set_alarm(now());
  bool kept = true;
  for (const Instant end = now() + kAlarmsWait; alarms < kAlarmsWanted && now() < end;) kept = use_red_zone(1000) && kept;
  stop_alarms();
  CHECK(kept);
  CHECK(alarms >= kAlarmsWanted);
}

TEST_CASE("machine: libsodium's BLAKE2b, built for user space, hashes right under interrupts") {
  std::array<std::byte, 4000> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  const Digest256 calm = digest_of(bytes);
  alarms = 0;
  on_alarm(alarm_again, nullptr);
  set_alarm(now());
  bool same = true;
  for (const Instant end = now() + kAlarmsWait; alarms < kAlarmsWanted && now() < end;) same = digest_of(bytes) == calm && same;
  stop_alarms();
  CHECK(same);
  CHECK(alarms >= kAlarmsWanted);
  // BLAKE2b-256 of nothing, as b2sum -l 256 says.
  CHECK(digest_of({}).bytes[0] == 0x0e);
  CHECK(digest_of({}).bytes[31] == 0xa8);
}

TEST_CASE("machine: an alarm wakes a sleeping processor, not before its time") {
  const Instant begin = now();
  const Instant when = begin + milliseconds(3);
  alarms = 0;
  on_alarm([](Frame&, void*) { alarms = alarms + 1; }, nullptr);
  while (now() < when) {
    disable_interrupts();
    set_alarm(when);
    enable_interrupts_and_halt();
  }
  stop_alarms();
  CHECK(alarms >= 1);
  CHECK(now() >= when);
}

TEST_CASE("machine: an exception with a handler goes on where the handler says") {
  static volatile bool taken = false;
  set_interrupt(3, [](Frame&, void*) { taken = true; }, nullptr);
  asm volatile("int3");
  set_interrupt(3, nullptr, nullptr);
  CHECK(taken);
}

}  // namespace rse::kernel
