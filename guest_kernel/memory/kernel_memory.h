// The kernel's memory as it is used: frames, the map of the address space, the heap, stacks, windows on devices.
// Size: what the boot map lists, or the operator's limit. Threads: any; interrupts are off inside. Memory: the frames' bitmap lies
// behind the image. Errors: nullptr or 0; at start-up a panic that names what is missing. Invariant: W^X; stacks between unmapped pages.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest_kernel/boot/boot_info.h"
#include "guest_kernel/memory/layout.h"
#include "guest_kernel/memory/page_mapper.h"

namespace rse::kernel {

/// From the boot map to the kernel's own page tables and heap. `limit_bytes`: use no more than that; 0: all.
void start_memory(const BootInfo& info, std::uint64_t limit_bytes);

template <class T = std::byte>
T* at_physical(std::uint64_t physical) {
  return reinterpret_cast<T*>(kDirectMap + physical);
}

/// A device's registers or memory, for good. nullptr: no memory for tables.
std::byte* map_device(PhysicalRange range, PageCaching caching);

/// The top of a new stack of `size` bytes; touching beyond either end faults. 0: no memory.
std::uint64_t make_stack(std::size_t size);

/// Zeroed memory that a device can reach, in one piece, for good. 0: there is none.
std::uint64_t take_dma_memory(std::size_t size);

/// Called by the page fault handler. False: the address is nobody's.
bool back_page(std::uint64_t address);
/// Whether a read there would fault.
bool is_mapped(std::uint64_t address);

struct MemoryUse {
  std::size_t total_bytes, free_bytes, promised_bytes, heap_bytes;
};
MemoryUse memory_use();

}  // namespace rse::kernel
