#include "transport/handshake_gate.h"

#include <doctest/doctest.h>

using namespace rse;

namespace {

/// How many of `count` handshakes begin that come evenly over a second.
std::uint64_t admitted(HandshakeGate& gate, std::uint64_t count, Instant start, bool many_sources) {
  std::uint64_t admitted = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    admitted += gate.admit(many_sources ? std::to_string(i) : "10.0.0.1", start + Duration{i * 1'000'000'000 / count});
  }
  return admitted;
}

}  // namespace

TEST_CASE("handshake gate: one source gets its rate and its burst, and costs another one nothing") {
  HandshakeGate gate;
  const Instant start = {1'000'000'000};
  CHECK(admitted(gate, 100'000, start, false) == kGateSourceBurst + kGateSourceRate - 1);
  CHECK(gate.refused() == 100'000 - (kGateSourceBurst + kGateSourceRate - 1));
  CHECK(gate.admit("10.0.0.2", start + milliseconds(1000)));
  CHECK(admitted(gate, 40, start + milliseconds(5000), false) == 40);  // it has calmed down
}

TEST_CASE("handshake gate: any number of sources together get no more than the rate for all") {
  HandshakeGate gate;
  const std::uint64_t some = admitted(gate, 100'000, {1'000'000'000}, true);
  CHECK(some >= kGateBurst);
  CHECK(some <= kGateBurst + kGateRate);
  CHECK(admitted(gate, 100'000, {2'000'000'000}, true) <= kGateRate);
}
