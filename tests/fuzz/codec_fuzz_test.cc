// A short seeded run of codec_fuzz: mutations of real messages, and splices of two.
#include <doctest/doctest.h>

#include "torus/base/random.h"
#include "transport/codec/codec.h"
#include "transport/codec/random_message.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kKindCount = std::variant_size_v<Message>;

void run(const Bytes& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

void mutate(Bytes& bytes, Random& random) {
  const auto any = [&random](std::size_t bound) {
    return random.below(static_cast<std::uint32_t>(bound));
  };
  for (std::uint32_t count = 1 + any(6); count > 0 && !bytes.empty(); --count) {
    const std::size_t at = any(bytes.size());
    switch (any(5)) {
      case 0: bytes[at] ^= std::byte{1} << any(8); break;
      case 1: bytes[at] = static_cast<std::byte>(any(256)); break;
      case 2: bytes.insert(bytes.begin() + at, static_cast<std::byte>(any(256))); break;
      case 3: bytes.erase(bytes.begin() + at, bytes.begin() + at + 1 + any(bytes.size() - at)); break;
      case 4: {
        const Bytes copy(bytes.begin() + at, bytes.begin() + at + 1 + any(bytes.size() - at));
        bytes.insert(bytes.begin() + any(bytes.size()), copy.begin(), copy.end());
        break;
      }
    }
  }
}

}  // namespace

TEST_CASE("fuzz: mutated messages never break the codec") {
  for (std::uint64_t seed = 1; seed <= 6000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Bytes bytes = encode_envelope(testing::random_envelope(random.below(kKindCount), seed));
    if (random.below(8) == 0) {
      const Bytes other =
          encode_envelope(testing::random_envelope(random.below(kKindCount), seed + 1));
      bytes.insert(bytes.end(), other.begin(), other.end());
    }
    run(bytes);
    mutate(bytes, random);
    run(bytes);
  }
}

TEST_CASE("fuzz: mutated hellos and plain noise never break the codec") {
  for (std::uint64_t seed = 1; seed <= 6000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Bytes bytes;
    if (random.below(2) == 0) {
      Hello hello;
      hello.self = {{seed}, seed, "name", {"10.0.0.7:7400", "[::1]:7400"}};
      encode_hello(hello, bytes);
      mutate(bytes, random);
    } else {
      bytes.resize(random.below(300));
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
    }
    run(bytes);
  }
}
