#include "node/workers.h"

#include <doctest/doctest.h>

#include <numeric>

namespace rse {
namespace {

TEST_CASE("double slot: what one thread writes the other reads, once each and in order") {
  constexpr std::uint64_t kCount = 20'000;
  DoubleSlot<std::uint64_t> slot;
  std::uint64_t sum = 0;
  std::uint64_t out_of_order = 0;
  std::thread reader([&] {
    for (std::uint64_t expected = 1; expected <= kCount; ++expected) {
      slot.wait();
      const std::optional<std::uint64_t> value = slot.pop();
      if (!value || *value != expected) ++out_of_order;
      sum += value.value_or(0);
    }
  });
  for (std::uint64_t i = 1; i <= kCount; ++i) {
    std::uint64_t value = i;
    while (!slot.push(value)) std::this_thread::yield();
  }
  reader.join();
  CHECK(out_of_order == 0);
  CHECK(sum == kCount * (kCount + 1) / 2);
}

TEST_CASE("double slot: a third value is refused and stays with the writer") {
  DoubleSlot<std::string> slot;
  std::string value = "one";
  CHECK(slot.push(value));
  value = "two";
  CHECK(slot.push(value));
  value = "three";
  CHECK_FALSE(slot.push(value));
  CHECK(value == "three");
  CHECK(slot.pop() == "one");
  CHECK(slot.push(value));
  CHECK(slot.pop() == "two");
  CHECK(slot.pop() == "three");
  CHECK(slot.pop() == std::nullopt);
}

}  // namespace
}  // namespace rse
