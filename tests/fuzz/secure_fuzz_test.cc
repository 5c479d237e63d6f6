// A short seeded run of secure_fuzz: noise, and mutations of what a node really says.
#include <doctest/doctest.h>

#include <cstring>

#include "torus/base/random.h"
#include "transport/secure/channel.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(std::uint8_t kind, const Bytes& bytes) {
  std::vector<std::uint8_t> input{kind};
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  input.insert(input.end(), data, data + bytes.size());
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

Bytes noise(Random& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  return bytes;
}

/// Something real of that kind.
Bytes genuine(std::uint8_t kind, Random& random) {
  Bytes bytes;
  if (kind < 2) {
    TrustBook book(NodeKey::generate());
    SecureChannel one(NoiseRole::kInitiator, std::make_shared<TrustBook>(book), "a:1");
    one.start(bytes);
    if (kind == 0) return bytes;
    SecureChannel two(NoiseRole::kResponder, std::make_shared<TrustBook>(book), "b:1");
    Bytes reply;
    two.on_handshake(bytes, 0, reply);
    return reply;
  }
  if (kind == 2) {
    const auto size = static_cast<std::uint16_t>(random.below(300));
    bytes = noise(random, 2 + size);
    std::memcpy(bytes.data(), &size, 2);
    return bytes;
  }
  if (kind == 3) {
    Ticket ticket;
    ticket.id = 1 + random.next() / 2;
    ticket.addresses.resize(random.below(9), "10.0.0.1:7400");
    const std::string text = ticket_text(ticket);
    const auto from = std::as_bytes(std::span(text));
    return Bytes(from.begin(), from.end());
  }
  TrustChange change{.kind = static_cast<TrustChange::Kind>(1 + random.below(3)), .now = random.next(), .ticket = {}, .forget = {}};
  encode_trust_change(change, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("fuzz: mutated and made up handshakes, records, tickets and wishes break nothing and prove nothing") {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto kind = static_cast<std::uint8_t>(random.below(5));
    Bytes bytes = random.below(4) == 0 ? noise(random, random.below(600)) : genuine(kind, random);
    if (kind >= 3) run(kind, bytes);
    for (std::uint32_t count = 1 + random.below(4); count > 0 && !bytes.empty(); --count) {
      const std::uint32_t at = random.below(static_cast<std::uint32_t>(bytes.size()));
      if (random.below(3) == 0) bytes.resize(at);
      else if (random.below(2) == 0) bytes[at] ^= std::byte(1u << random.below(8));
      else bytes.insert(bytes.begin() + at, static_cast<std::byte>(random.below(256)));
    }
    run(kind, bytes);
  }
}
