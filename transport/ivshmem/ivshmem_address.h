// "ivshmem:NAME?slot=2&size-mb=64&machine=0123456789abcdef" and its parts.
// Threads: none. Memory: the strings. Errors: a sentence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace rse {

inline constexpr std::size_t kRegionBytesDefault = 64u << 20;

struct IvshmemAddress {
  std::string path;                    // of the file; a NAME without slash is one in /dev/shm
  std::optional<std::uint32_t> slot;   // else the first free one
  std::size_t region_bytes = kRegionBytesDefault;  // where the file has to be made; a power of two
  std::uint64_t machine = 0;           // where the file is; 0: here
};

bool is_ivshmem_address(const std::string& text);
std::optional<IvshmemAddress> parse_ivshmem_address(const std::string& text, std::string& why);
/// What others on this machine dial, and those on other machines know not to.
std::string advertised_text(const IvshmemAddress& address);
/// Of this boot of this machine, never 0.
std::uint64_t this_machine();

}  // namespace rse
