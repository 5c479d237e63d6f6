// Any text as a scenario file: what is read has to survive being written and read again; what is not has a reason.
#include <cstdint>
#include <span>
#include <string>

#include "node/scenario_text.h"
#include "torus/base/assert.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string failure;
  const auto scenario = parse_scenario(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.rse", failure);
  RSE_ASSERT(scenario || !failure.empty(), "a refusal has a reason");
  if (!scenario) return 0;
  const auto again = parse_scenario(to_text(*scenario), "again.rse", failure);
  RSE_ASSERT(again && encode_scenario(*again) == encode_scenario(*scenario), "a scenario changed");
  return 0;
}
