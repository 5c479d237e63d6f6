#include "guest_kernel/memory/heap.h"

#include <algorithm>
#include <cstring>

#include "torus/base/assert.h"

namespace rse::kernel {
namespace {

constexpr std::uint32_t kMagic = 0x70414548;  // "HEAp"
constexpr std::uint32_t kLarge = ~0u;

}  // namespace

Heap::Header& Heap::header_of(const void* block) {
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  auto& header = *reinterpret_cast<Header*>(address / kChunkBytes * kChunkBytes);
  RSE_ASSERT(address % 16 == 0 && address % kChunkBytes >= sizeof(Header) && header.magic == kMagic,
             "freed what the heap did not give, or its header was overwritten");
  return header;
}

std::size_t Heap::blocks_in_chunk(std::size_t size_class) {
  return (kChunkBytes - sizeof(Header)) / kSizes[size_class];
}

void Heap::link(Header& chunk) {
  chunk.previous = nullptr;
  chunk.next = with_room_[chunk.size_class];
  if (chunk.next != nullptr) chunk.next->previous = &chunk;
  with_room_[chunk.size_class] = &chunk;
}

void Heap::unlink(Header& chunk) {
  if (chunk.next != nullptr) chunk.next->previous = chunk.previous;
  (chunk.previous != nullptr ? chunk.previous->next : with_room_[chunk.size_class]) = chunk.next;
}

Heap::Header* Heap::add_chunk(std::size_t size_class) {
  std::byte* const range = source_.reserve(kChunkBytes);
  if (range == nullptr) return nullptr;
  reserved_ += kChunkBytes;
  auto* const chunk = reinterpret_cast<Header*>(range);
  *chunk = {kMagic, static_cast<std::uint32_t>(size_class), 0, nullptr, 0, 0, nullptr, nullptr};
  link(*chunk);
  return chunk;
}

void* Heap::allocate_small(std::size_t size_class) {
  Header* chunk = with_room_[size_class];
  if (chunk == nullptr) chunk = add_chunk(size_class);
  if (chunk == nullptr) return nullptr;
  void* block = chunk->free;
  if (block != nullptr) {
    chunk->free = chunk->free->next;
  } else {
    block = reinterpret_cast<std::byte*>(chunk + 1) + std::size_t{chunk->fresh++} * kSizes[size_class];
  }
  if (++chunk->used == blocks_in_chunk(size_class)) unlink(*chunk);
  return block;
}

void* Heap::allocate_large(std::size_t size) {
  if (size > ~std::size_t{0} - sizeof(Header)) return nullptr;
  std::byte* const range = source_.reserve(size + sizeof(Header));
  if (range == nullptr) return nullptr;
  reserved_ += size + sizeof(Header);
  auto* const header = reinterpret_cast<Header*>(range);
  *header = {kMagic, kLarge, size, nullptr, 1, 0, nullptr, nullptr};
  return header + 1;
}

void* Heap::allocate(std::size_t size) {
  if (size > kSmallMax) return allocate_large(size);
  const auto found = std::ranges::lower_bound(kSizes, size);
  return allocate_small(static_cast<std::size_t>(found - kSizes.begin()));
}

void* Heap::allocate_zeroed(std::size_t size) {
  void* const block = allocate(size);
  if (block != nullptr && size <= kSmallMax) std::memset(block, 0, size);
  return block;
}

void Heap::free(void* block) {
  if (block == nullptr) return;
  Header& header = header_of(block);
  if (header.size_class == kLarge) {
    const std::size_t size = header.size + sizeof(Header);
    reserved_ -= size;
    header.magic = 0;
    source_.release(reinterpret_cast<std::byte*>(&header), size);
    return;
  }
  RSE_ASSERT(header.used != 0, "a block was freed twice");
  const bool was_full = header.used == blocks_in_chunk(header.size_class);
  auto* const freed = static_cast<Free*>(block);
  freed->next = header.free;
  header.free = freed;
  --header.used;
  if (was_full) link(header);
  // One empty chunk of each class stays, so that a block that comes and goes costs no page fault.
  if (header.used == 0 && (header.next != nullptr || header.previous != nullptr)) {
    unlink(header);
    reserved_ -= kChunkBytes;
    header.magic = 0;
    source_.release(reinterpret_cast<std::byte*>(&header), kChunkBytes);
  }
}

}  // namespace rse::kernel
