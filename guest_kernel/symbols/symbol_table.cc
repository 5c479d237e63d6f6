#include "guest_kernel/symbols/symbol_table.h"

#include <algorithm>

#include "guest_kernel/memory/layout.h"

namespace rse::kernel {
namespace {

struct TableHeader {
  std::uint32_t magic;
  std::uint32_t count;
};

// Not const to the compiler: embed_symbols changes it after the link.
[[gnu::section(".symbols"), gnu::used, gnu::aligned(8)]] volatile const unsigned char table[kSymbolTableBytes] = {1};

}  // namespace

Symbol find_symbol(std::uint64_t address) {
  const auto* const bytes = const_cast<const unsigned char*>(table);
  TableHeader header;
  __builtin_memcpy(&header, bytes, sizeof header);
  const std::size_t names_at = sizeof header + header.count * sizeof(SymbolEntry);
  if (header.magic != kSymbolTableMagic || names_at >= kSymbolTableBytes || address < kKernelBase) return {};
  const auto* const entries = reinterpret_cast<const SymbolEntry*>(bytes + sizeof header);
  const auto* const after = std::upper_bound(
      entries, entries + header.count, address - kKernelBase,
      [](std::uint64_t offset, const SymbolEntry& entry) { return offset < entry.offset; });
  if (after == entries) return {};
  const char* const name = reinterpret_cast<const char*>(bytes + names_at + after[-1].name);
  return {kKernelBase + after[-1].offset, name};
}

}  // namespace rse::kernel
