// Random bytes for keys: a key of 64 bytes that is replaced after each request, so that who reads the memory later learns nothing of
// what was given out before (fast key erasure). It is made of RDRAND where the processor has it, of what the machine's owner has handed over,
// and of the time-stamp counter at each request.
// Size: static. Threads: the kernel's first. Memory: none. Errors: has_entropy() says whether anybody else could guess the bytes.
#pragma once

#include <cstddef>
#include <span>

namespace rse::kernel {

inline constexpr std::size_t kEntropyBytes = 32;

/// Stirs `secret` in; kEntropyBytes that nobody else knows are enough.
void add_entropy(std::span<const std::byte> secret);
bool has_entropy();
void fill_random(std::span<std::byte> out);

}  // namespace rse::kernel
