// Any bytes as a beacon. What is read has its bounds, and is believed only with signatures that no fuzzer can make.
#include <cstdint>

#include "torus/base/assert.h"
#include "torus/braid/view.h"
#include "transport/beacon/beacon.h"

using namespace rse;

namespace {

TrustBook newcomer() {
  SecretKey seed;
  seed.bytes.fill(3);
  TrustBook book{NodeKey(seed)};
  book.ticket.emplace();
  book.ticket->cluster = {7};
  book.ticket->cluster_key = public_key_of(seed);
  return book;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TrustBook book = newcomer();
  const auto bytes = std::as_bytes(std::span(data, size));
  if (const auto beacon = read_beacon(bytes)) {
    RSE_ASSERT(size <= kBeaconBytesMax && beacon->addresses.size() <= kAddressesMax, "a beacon has its bounds");
  }
  BeaconJudge judge;
  RSE_ASSERT(!judge.judge(bytes, book, {9}, 0).beacon, "its time is none of ours, whoever signed it");
  return 0;
}
