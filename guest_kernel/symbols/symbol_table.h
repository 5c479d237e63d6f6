// Names for addresses in stack reports. The table is put into the linked image by embed_symbols, in the room that
// symbol_table.cc reserves: the kernel's code does not move when its own names are known.
// Layout, little-endian: magic u32, count u32, then `count` entries sorted by address (offset from kKernelBase u32, offset of the
// name in the names u32), then the names, each ended by a zero byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rse::kernel {

inline constexpr std::uint32_t kSymbolTableMagic = 0x53455352;  // "RSES"
inline constexpr std::size_t kSymbolTableBytes = 384u << 10;
inline constexpr std::size_t kSymbolNameBytesMax = 72;

struct SymbolEntry {
  std::uint32_t offset;
  std::uint32_t name;
};

struct Symbol {
  std::uint64_t address = 0;
  std::string_view name;  // empty: unknown
};

/// The last function that begins at or before `address`.
Symbol find_symbol(std::uint64_t address);

}  // namespace rse::kernel
