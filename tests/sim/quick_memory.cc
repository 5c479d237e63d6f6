// operator new for programs of the simulator: they allocate some fifty thousand small things a schedule, and spend an eighth of
// their time on it with the C library's. Small ones come from lists by size that only grow; what is larger is malloc's.
// Threads: one. Under AddressSanitizer nothing is replaced.
#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#ifndef __SANITIZE_ADDRESS__
namespace {

constexpr std::size_t kGrain = 16, kSmallBytesMax = 1024;
constexpr std::size_t kSlabBytes = 64u << 10, kArenaBytes = 1u << 30;

struct Free { Free* next; };

struct Memory {
  std::byte* arena = nullptr;
  std::size_t used = 0;
  std::array<Free*, kSmallBytesMax / kGrain + 1> free{};
  std::array<std::uint8_t, kArenaBytes / kSlabBytes> size_of_slab{};  // in grains
};
constinit Memory memory;

/// Cuts one more slab into pieces of `grains`; false: there is none.
bool grow(std::size_t grains) {
  if (memory.arena == nullptr) {
    void* const arena = ::mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) return false;
    memory.arena = static_cast<std::byte*>(arena);
  }
  if (memory.used == kArenaBytes) return false;
  std::byte* const slab = memory.arena + memory.used;
  memory.size_of_slab[memory.used / kSlabBytes] = static_cast<std::uint8_t>(grains);
  memory.used += kSlabBytes;
  const std::size_t bytes = grains * kGrain;
  for (std::size_t at = 0; at + bytes <= kSlabBytes; at += bytes) memory.free[grains] = new (slab + at) Free{memory.free[grains]};
  return true;
}

}  // namespace

void* operator new(std::size_t size) {
  const std::size_t grains = (size + kGrain - 1) / kGrain + (size == 0);
  if (size <= kSmallBytesMax && (memory.free[grains] != nullptr || grow(grains))) {
    Free* const taken = memory.free[grains];
    memory.free[grains] = taken->next;
    return taken;
  }
  void* const large = std::malloc(size);
  if (large == nullptr) std::abort();
  return large;
}

void operator delete(void* pointer) noexcept {
  const std::size_t offset = static_cast<std::size_t>(static_cast<std::byte*>(pointer) - memory.arena);
  if (offset >= memory.used) return std::free(pointer);
  Free*& list = memory.free[memory.size_of_slab[offset / kSlabBytes]];
  list = new (pointer) Free{list};
}
void operator delete(void* pointer, std::size_t) noexcept { operator delete(pointer); }
#endif
