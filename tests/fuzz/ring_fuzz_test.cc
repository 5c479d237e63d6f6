// A short seeded run of ring_fuzz.
#include <doctest/doctest.h>

#include <vector>

#include "torus/base/random.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

TEST_CASE("fuzz: whatever is written to a shared memory, its reader goes on") {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<std::uint8_t> input(random.below(400));
    for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(random.below(4) == 0 ? random.below(4) : random.next());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}
