// SplitMix64: the deterministic random source of programs, simulations and tests (Steele, Lea, Flood 2014).
// State: 8 bytes, part of whatever owns it. The same seed gives the same sequence on every machine.
#pragma once

#include <cstdint>

namespace rse {

class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}
  constexpr std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  /// Uniform in 0..bound-1 up to a bias of 2^-32 (Lemire's multiply and shift); 0 when bound is 0.
  constexpr std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }
  constexpr std::uint64_t state() const { return state_; }

 private:
  std::uint64_t state_;
};

}  // namespace rse
