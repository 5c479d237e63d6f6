#include "guest_kernel/arch/x86_64/interrupts.h"

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/arch/x86_64/local_apic.h"
#include "guest_kernel/memory/kernel_memory.h"
#include "guest_kernel/runtime/panic.h"

extern "C" const std::byte vector_code[];

namespace rse::kernel {
namespace {

constexpr std::size_t kVectorCodeBytes = 16;
constexpr std::size_t kInterruptStackBytes = 16u << 10;
constexpr std::uint32_t kMsrFsBase = 0xc0000100;

enum Vector : unsigned { kNmi = 2, kDoubleFault = 8, kPageFault = 14, kMachineCheck = 18 };

// Stacks by kind, so that an exception inside a handler has its own. Numbers are the TSS's IST entries.
enum Stack : std::uint8_t { kDevices = 1, kExceptions, kPageFaults, kDoubleFaults, kNmis, kMachineChecks, kStackEnd };

struct [[gnu::packed]] TaskState {
  std::uint32_t reserved0;
  std::uint64_t privilege_stacks[3];
  std::uint64_t reserved1;
  std::uint64_t interrupt_stacks[7];  // IST1..7
  std::uint64_t reserved2;
  std::uint16_t reserved3;
  std::uint16_t io_map;
};
static_assert(sizeof(TaskState) == 104);

struct Gate {
  std::uint16_t offset_low;
  std::uint16_t selector;
  std::uint8_t stack;
  std::uint8_t type;
  std::uint16_t offset_middle;
  std::uint32_t offset_high;
  std::uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  std::uint64_t base;
};

constexpr std::uint16_t kCodeSelector = 0x08;
constexpr std::uint16_t kTaskSelector = 0x18;
constexpr std::uint8_t kInterruptGate = 0x8e;  // present, privilege 0, interrupts off inside

TaskState task;
std::array<std::uint64_t, 5> segments = {0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0};
std::array<Gate, 256> gates;

struct Handler {
  InterruptHandler call;
  void* context;
};
std::array<Handler, 256> handlers;
unsigned next_vector = kFirstDeviceVector;

// What libraries built for user space find at %fs: themselves at 0, the stack protector's canary at 0x28.
struct alignas(64) ThreadBlock {
  ThreadBlock* self;
  std::uint64_t unused[4];
  std::uint64_t canary;
};
static_assert(offsetof(ThreadBlock, canary) == 0x28);
ThreadBlock thread_block;

Stack stack_of(unsigned vector) {
  switch (vector) {
    case kNmi: return kNmis;
    case kDoubleFault: return kDoubleFaults;
    case kPageFault: return kPageFaults;
    case kMachineCheck: return kMachineChecks;
    default: return vector < kExceptionVectors ? kExceptions : kDevices;
  }
}

void load_segments() {
  const auto base = reinterpret_cast<std::uint64_t>(&task);
  segments[3] = (sizeof task - 1) | (base & 0xffffff) << 16 | std::uint64_t{0x89} << 40 | (base >> 24 & 0xff) << 56;
  segments[4] = base >> 32;
  const TablePointer table{sizeof segments - 1, reinterpret_cast<std::uint64_t>(segments.data())};
  asm volatile("lgdt %0" : : "m"(table));
  asm volatile("ltr %0" : : "r"(kTaskSelector));
}

void load_gates() {
  for (unsigned vector = 0; vector < gates.size(); ++vector) {
    const auto code = reinterpret_cast<std::uint64_t>(vector_code + vector * kVectorCodeBytes);
    gates[vector] = {static_cast<std::uint16_t>(code), kCodeSelector, stack_of(vector), kInterruptGate,
                     static_cast<std::uint16_t>(code >> 16), static_cast<std::uint32_t>(code >> 32), 0};
  }
  const TablePointer table{sizeof gates - 1, reinterpret_cast<std::uint64_t>(gates.data())};
  asm volatile("lidt %0" : : "m"(table));
}

void silence_old_controllers() {
  // 8259A: ICW1..4 move their vectors to 32..47, out of the exceptions' way, then everything is masked.
  for (const auto& [port, vector, wiring] : {std::array<std::uint8_t, 3>{0x20, 32, 4}, {0xa0, 40, 2}}) {
    out8(port, 0x11);
    out8(port + 1, vector);
    out8(port + 1, wiring);
    out8(port + 1, 1);
    out8(port + 1, 0xff);
  }
}

}  // namespace

void start_interrupts() {
  task.io_map = sizeof task;
  for (unsigned stack = kDevices; stack < kStackEnd; ++stack) {
    task.interrupt_stacks[stack - 1] = make_stack(kInterruptStackBytes);
    if (task.interrupt_stacks[stack - 1] == 0) panic("memory", "none for the interrupt stacks; give the machine more");
  }
  load_segments();
  load_gates();
  silence_old_controllers();
  thread_block.self = &thread_block;
  thread_block.canary = read_tsc() * 0x9E3779B97F4A7C15 & ~std::uint64_t{0xff};  // a zero byte stops string overruns
  write_msr(kMsrFsBase, reinterpret_cast<std::uint64_t>(&thread_block));
}

void set_interrupt(unsigned vector, InterruptHandler handler, void* context) {
  const InterruptsOff off;
  handlers[vector] = {handler, context};
}

unsigned add_interrupt(InterruptHandler handler, void* context) {
  if (next_vector >= kSwitchVector) return 0;
  set_interrupt(next_vector, handler, context);
  return next_vector++;
}

extern "C" void handle_interrupt(Frame& frame) {
  if (frame.vector == kPageFault && (frame.error & 1) == 0 && back_page(read_cr2())) return;
  const Handler& handler = handlers[frame.vector];
  if (handler.call != nullptr) {
    handler.call(frame, handler.context);
  } else if (frame.vector < kExceptionVectors) {
    report_exception(frame);
  }
  if (frame.vector >= kFirstDeviceVector && frame.vector != kSpuriousVector) end_of_interrupt();
}

}  // namespace rse::kernel
