// Any text as a list of edges and as dpkg's status file. The first byte chooses. A refusal has a reason.
#include <cstdint>
#include <string>

#include "node/import/dpkg.h"
#include "node/import/edge_list.h"
#include "torus/base/assert.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string failure;
  const auto graph = data[0] % 2 == 0 ? parse_edge_list(text, "fuzz", failure) : parse_dpkg_status(text, "fuzz", failure);
  RSE_ASSERT(graph || !failure.empty(), "a refusal has a reason");
  return 0;
}
