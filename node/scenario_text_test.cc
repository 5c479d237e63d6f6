// Scenario text: what DESIGN 5 names is read, anything else is refused with a place and a next step.
#include "node/scenario_text.h"

#include <doctest/doctest.h>

#include "torus/base/random.h"

namespace rse {
namespace {

Scenario parsed(const std::string& text) {
  std::string failure;
  const auto scenario = parse_scenario(text, "s.textproto", failure);
  CHECK(failure == "");
  REQUIRE(scenario.has_value());
  return *scenario;
}

std::string failure_of(const std::string& text) {
  std::string failure;
  CHECK(!parse_scenario(text, "s.textproto", failure).has_value());
  return failure;
}

TEST_CASE("scenario text: the example of the design is read") {
  const Scenario scenario = parsed(R"(
epoch_ticks: 1000            # K(0) = K(1), at least 1, default 1000
adaptive: false              # default false
boundary_coupling: true      # default false
boundary_tolerance: 10       # default 10
relay { cell { torus: A x: 0 y: 0 z: 0 } max_payload: 100000 }
edge { from { torus: A x: 0 y: 0 z: 0 } to { torus: A x: 1 y: 0 z: 0 } delay: 5 }
process { cell { torus: B x: 3 y: 4 z: 5 } program: "phold" args: "max_delay=16 remote=10" }
inject { to { torus: A x: 0 y: 0 z: 0 } time: 0 payload: 1 }
)");
  CHECK(scenario.boundary_coupling);
  CHECK(!scenario.adaptive);
  REQUIRE(scenario.relays.size() == 1);
  CHECK(scenario.relays[0].max_payload == 100000);
  REQUIRE(scenario.edges.size() == 1);
  CHECK(scenario.edges[0].to == cell_at({0}, 1, 0, 0));
  CHECK(scenario.edges[0].delay == 5);
  REQUIRE(scenario.processes.size() == 1);
  CHECK(scenario.processes[0].cell == cell_at({1}, 3, 4, 5));
  CHECK(scenario.processes[0].args == "max_delay=16 remote=10");
  REQUIRE(scenario.injections.size() == 1);
  CHECK(scenario.injections[0] == Event{Tick{0}, CellId{0}, CellId{0}, 1});
}

TEST_CASE("scenario text: defaults, coordinates modulo 32, limits of numbers") {
  const Scenario empty = parsed("");
  CHECK(empty.epoch_ticks == 1000);
  CHECK(!empty.adaptive);
  CHECK(!empty.boundary_coupling);
  CHECK(empty.boundary_tolerance == 10);
  const Scenario scenario = parsed(
      "boundary_tolerance: 0 relay { cell { } max_payload: 0 } relay { cell { torus: C } } "
      "inject { to { x: -1 y: 33 z: 2147483647 } from { torus: C } time: 18446744073709551615 payload: -2147483648 } "
      "edge { from { } to { torus: B x: 2 } delay: 4294967295 }");
  CHECK(scenario.boundary_tolerance == 0);
  CHECK(scenario.relays[0].max_payload == 0);
  CHECK(!scenario.relays[1].max_payload.has_value());
  CHECK(scenario.injections[0] ==
        Event{Tick{~0ull}, cell_at({0}, 31, 1, 31), cell_at({2}, 0, 0, 0), -2147483647 - 1});
  CHECK(scenario.edges[0].delay == 0xFFFFFFFF);
}

TEST_CASE("scenario text: what is wrong is said with its place and the next step") {
  const auto check = [](const std::string& text, const std::string& expected) {
    CAPTURE(text);
    CHECK(failure_of(text) == "s.textproto:" + expected);
  };
  check("epoch_ticks: 5\nspeed: 3\n",
        "2:6: unknown field \"speed\"; the fields here are epoch_ticks, adaptive, boundary_coupling, "
        "boundary_tolerance, relay, edge, process, inject");
  check("relay { cell { torus: D } }", "1:25: unknown torus \"D\"; write A, B or C");
  check("relay {\n  cell { torus: 1 }\n}", "2:17: torus is \"1\"; write A, B or C");
  check("epoch_ticks: 0", "1:1: epoch_ticks is 0; it is at least 1");
  check("edge { from { } to { } }", "1:1: edge without delay; add delay: 1 to 2^32-1 ticks");
  check("\n edge { from { } to { }\n  delay: 0 }", "3:3: delay is 0; it is 1 to 2^32-1 ticks");
  check("edge { from { } to { } delay: 1 }\nedge { to { } delay: 1 }",
        "2:1: edge without from; add from { torus: A x: 0 y: 0 z: 0 }");
  check("edge { from { } delay: 1 }", "1:1: edge without to; add to { torus: A x: 0 y: 0 z: 0 }");
  check("relay { max_payload: 1 }", "1:1: relay without cell; add cell { torus: A x: 0 y: 0 z: 0 }");
  check("inject { time: 1 }", "1:1: inject without to; add to { torus: A x: 0 y: 0 z: 0 }");
  check("process { cell { } }", "1:1: process without program; one of " + [] {
    const std::string failure = failure_of("process { cell { } program: \"x\" }");
    return failure.substr(failure.find("one of ") + 7);
  }());
  CHECK(failure_of("process { cell { } program: \"x\" }").starts_with("s.textproto:1:20: unknown program \"x\"; one of "));
  check("process { cell { } program: \"phold\" args: \"" + std::string(257, 'a') + "\" }",
        "1:37: args of 257 bytes; at most 256");
  CHECK(failure_of("edge { from { } to { } delay: 4294967296 }").starts_with("s.textproto:1:31: Integer out of range"));
  CHECK(failure_of("edge { from { } to { } delay: -1 }").starts_with("s.textproto:1:31: "));
  CHECK(failure_of("inject { to { } time: 18446744073709551616 }").starts_with("s.textproto:1:23: "));
  CHECK(failure_of("inject { to { x: 2147483648 } }").starts_with("s.textproto:1:18: Integer out of range"));
  CHECK(failure_of("inject { to { } payload: 1.5 }").starts_with("s.textproto:1:26: "));
  CHECK(failure_of("adaptive: true adaptive: true").find("specified multiple times; give it once") != std::string::npos);
  CHECK(failure_of("edge { from { }").starts_with("s.textproto:1:16: "));
  CHECK(failure_of("<<<").starts_with("s.textproto:1:1: "));
}

TEST_CASE("scenario text: printed and read again it is the same") {
  Random random(1);
  for (int attempt = 0; attempt < 200; ++attempt) {
    CAPTURE(attempt);
    const auto cell = [&] { return CellId{random.below(3 * kCellCount)}; };
    Scenario scenario;
    scenario.epoch_ticks = 1 + random.next() / 2;
    scenario.adaptive = random.below(2) == 0;
    scenario.boundary_coupling = random.below(2) == 0;
    scenario.boundary_tolerance = random.below(3) * 1000;
    for (std::uint32_t i = random.below(5); i-- > 0;) {
      scenario.relays.push_back({cell(), std::nullopt});
      if (random.below(2) == 0) scenario.relays.back().max_payload = static_cast<std::int32_t>(random.next());
    }
    for (std::uint32_t i = random.below(5); i-- > 0;) scenario.edges.push_back({cell(), cell(), 1 + random.below(~0u)});
    for (std::uint32_t i = random.below(5); i-- > 0;) scenario.processes.push_back({cell(), "phold", "a=\"\n\\1'"});
    for (std::uint32_t i = random.below(5); i-- > 0;) {
      scenario.injections.push_back({Tick{random.next()}, cell(), cell(), static_cast<std::int32_t>(random.next())});
    }
    CHECK(encode_scenario(parsed(to_text(scenario))) == encode_scenario(scenario));
  }
}

TEST_CASE("scenario text: merging appends entries and keeps the first settings") {
  Scenario scenario = parsed("epoch_ticks: 7 inject { to { } payload: 1 }");
  merge_scenario(scenario, parsed("epoch_ticks: 9 inject { to { } payload: 2 } relay { cell { } }"));
  CHECK(scenario.epoch_ticks == 7);
  CHECK(scenario.injections.size() == 2);
  CHECK(scenario.relays.size() == 1);
}

TEST_CASE("scenario text: a missing file is named") {
  std::string failure;
  CHECK(!read_scenario("/no/such/file", failure));
  CHECK(failure == "/no/such/file: cannot be read; is it there, and may you read it?");
}

TEST_CASE("scenario text: mutilated text never does worse than fail") {
  const std::string honest = to_text(parsed(
      "relay { cell { } max_payload: 3 } edge { from { x: 3 } to { torus: B } delay: 9 } "
      "process { cell { z: 3 } program: \"phold\" args: \"remote=10\" } inject { to { } time: 5 payload: -1 }"));
  Random random(7);
  for (int attempt = 0; attempt < 5000; ++attempt) {
    std::string text = honest;
    for (std::uint32_t i = 1 + random.below(4); i-- > 0;) {
      const std::uint32_t at = random.below(static_cast<std::uint32_t>(text.size()));
      switch (random.below(3)) {
        case 0: text[at] = static_cast<char>(random.next()); break;
        case 1: text.erase(at, random.below(20)); break;
        case 2: text.insert(at, honest.substr(at % honest.size(), random.below(20))); break;
      }
      if (text.empty()) break;
    }
    std::string failure;
    if (!parse_scenario(text, "f", failure)) CHECK(failure.starts_with("f:"));
  }
}

}  // namespace
}  // namespace rse
