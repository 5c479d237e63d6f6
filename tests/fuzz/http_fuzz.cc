// Any bytes as HTTP requests, in any pieces: what is taken is within the limits and leaves the rest alone, and pieces change nothing.
#include <cstdint>

#include "node/http/http_message.h"
#include "torus/base/assert.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  std::string whole = bytes;
  HttpRequest request;
  for (HttpParse parsed = HttpParse::kDone; parsed == HttpParse::kDone;) {
    const std::size_t before = whole.size();
    parsed = take_http_request(whole, request);
    if (parsed != HttpParse::kDone) break;
    RSE_ASSERT(whole.size() < before && bytes.ends_with(whole), "a request is taken from the front");
    RSE_ASSERT(request.body.size() <= kHttpBodyBytesMax && request.path.size() <= kHttpHeadBytesMax, "a request has its bounds");
    (void)is_allowed_host(request.header("host"), "127.0.0.1", {"torus.example"});
  }
  std::string grown;
  HttpRequest first, again;
  std::string at_once = bytes;
  const HttpParse expected = take_http_request(at_once, first);
  HttpParse parsed = HttpParse::kIncomplete;
  for (std::size_t i = 0; i < size && parsed == HttpParse::kIncomplete; ++i) {
    grown += bytes[i];
    parsed = take_http_request(grown, again);
  }
  if (expected == HttpParse::kDone)
    RSE_ASSERT(parsed == HttpParse::kDone && again.path == first.path && again.body == first.body, "pieces change nothing");
  return 0;
}
