// Any text as a configuration file of rse-node; and as what users type: addresses of nodes, of shared memory, of control.
#include <cstdint>
#include <string>

#include "node/config.h"
#include "node/control_address.h"
#include "torus/base/assert.h"
#include "transport/ivshmem/ivshmem_address.h"
#include "transport/tcp/address.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ConfigFlags flags;
  flags.config_file = "fuzz.toml";
  ConfigSurroundings surroundings;
  surroundings.read_file = [&](const std::string& path) { return path == "fuzz.toml" ? std::optional(text) : std::nullopt; };
  std::string failure;
  const auto config = load_config(flags, surroundings, failure);
  RSE_ASSERT(config || !failure.empty(), "a refusal has a reason");
  if (config) static_cast<void>(print_config(*config));
  if (size > 128) return 0;
  static_cast<void>(parse_host_port(text));
  std::string why;
  RSE_ASSERT(parse_ivshmem_address(text, why) || !why.empty(), "a refusal has a reason");
  why.clear();
  RSE_ASSERT(parse_control_address(text, why) || !why.empty(), "a refusal has a reason");
  return 0;
}
