// The instructions that C++ has no words for. References: Intel SDM volume 2, AMD APM volume 3.
// Threads, memory, errors: as the instruction.
#pragma once

#include <cstdint>

namespace rse::kernel {

inline void out8(std::uint16_t port, std::uint8_t value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
inline void out16(std::uint16_t port, std::uint16_t value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
inline void out32(std::uint16_t port, std::uint32_t value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
inline std::uint8_t in8(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint16_t in16(std::uint16_t port) {
  std::uint16_t value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint32_t in32(std::uint16_t port) {
  std::uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline void disable_interrupts() { asm volatile("cli" : : : "memory"); }
inline void enable_interrupts() { asm volatile("sti" : : : "memory"); }
inline void halt() { asm volatile("hlt" : : : "memory"); }
/// Interrupts are taken only once the processor sleeps, so none is lost between the test and the sleep.
inline void enable_interrupts_and_halt() { asm volatile("sti\n\thlt" : : : "memory"); }
inline void relax() { asm volatile("pause"); }

inline std::uint64_t read_flags() {
  std::uint64_t flags;
  asm volatile("pushfq\n\tpopq %0" : "=r"(flags) : : "memory");
  return flags;
}
inline constexpr std::uint64_t kInterruptFlag = 1u << 9;

/// Interrupts are off while it lives, and then as they were.
class InterruptsOff {
 public:
  InterruptsOff() : were_on_((read_flags() & kInterruptFlag) != 0) { disable_interrupts(); }
  ~InterruptsOff() {
    if (were_on_) enable_interrupts();
  }
  InterruptsOff(const InterruptsOff&) = delete;
  InterruptsOff& operator=(const InterruptsOff&) = delete;

 private:
  bool were_on_;
};

inline std::uint64_t read_cr2() {
  std::uint64_t value;
  asm volatile("movq %%cr2, %0" : "=r"(value));
  return value;
}
inline std::uint64_t read_cr3() {
  std::uint64_t value;
  asm volatile("movq %%cr3, %0" : "=r"(value));
  return value;
}
inline void write_cr3(std::uint64_t value) { asm volatile("movq %0, %%cr3" : : "r"(value) : "memory"); }
inline void forget_page(std::uint64_t address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }

inline std::uint64_t read_msr(std::uint32_t number) {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
  return std::uint64_t{high} << 32 | low;
}
inline void write_msr(std::uint32_t number, std::uint64_t value) {
  asm volatile("wrmsr" : : "c"(number), "a"(static_cast<std::uint32_t>(value)), "d"(static_cast<std::uint32_t>(value >> 32)));
}
/// Not before what came before it in the program.
inline std::uint64_t read_tsc() {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
  return std::uint64_t{high} << 32 | low;
}

struct Cpuid {
  std::uint32_t a, b, c, d;
};
inline Cpuid cpuid(std::uint32_t leaf) {
  Cpuid out;
  asm volatile("cpuid" : "=a"(out.a), "=b"(out.b), "=c"(out.c), "=d"(out.d) : "a"(leaf), "c"(0));
  return out;
}

}  // namespace rse::kernel
