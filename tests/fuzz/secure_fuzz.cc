// Any bytes as what a stranger says first, as an answer to our first message, as
// records behind a real handshake, as a ticket, and as a wish of another member. The first byte chooses.
#include <algorithm>
#include <cstdint>
#include <memory>

#include "torus/base/assert.h"
#include "transport/secure/channel.h"

using namespace rse;

namespace {

std::shared_ptr<TrustBook> book() {
  static const std::shared_ptr<TrustBook> made = [] {
    auto book = std::make_shared<TrustBook>(NodeKey::generate());
    book->cluster = {1};
    book->trust.seed = random_secret().bytes;
    return book;
  }();
  return made;
}

void as_handshake(NoiseRole role, std::span<const std::byte> bytes) {
  SecureChannel channel(role, book(), "fuzz:1");
  Bytes reply;
  if (role == NoiseRole::kInitiator) channel.start(reply);
  std::size_t at = 0;
  while (at < bytes.size()) {  // in two pieces, so that sizes and messages are cut
    const std::size_t some = std::min(bytes.size() - at, bytes.size() / 2 + 1);
    const std::size_t taken = channel.on_handshake(bytes.subspan(0, at + some), 0, reply);
    RSE_ASSERT(taken <= at + some && reply.size() < 4 * kNoiseMessageBytesMax, "a handshake is bounded");
    bytes = bytes.subspan(taken);
    at = at + some - taken;
  }
  RSE_ASSERT(channel.state() != SecureChannel::State::kOpen, "nobody guesses a key");
}

void as_records(std::span<const std::byte> bytes) {
  static const std::unique_ptr<SecureChannel> opened = [] {
    auto one = std::make_unique<SecureChannel>(NoiseRole::kInitiator, book(), "fuzz:1");
    SecureChannel two(NoiseRole::kResponder, book(), "fuzz:2");
    Bytes there, back;
    one->start(there);
    two.on_handshake(there, 0, back);
    there.clear();
    one->on_handshake(back, 0, there);
    RSE_ASSERT(one->state() == SecureChannel::State::kOpen, "the handshake is a real one");
    return one;
  }();
  SecureChannel channel = *opened;
  Bytes text(kRecordTextMax);
  for (std::size_t size = channel.next_record(bytes); size > 0; size = channel.next_record(bytes)) {
    RSE_ASSERT(size <= kRecordTextMax && size <= bytes.size(), "a record is bounded");
    RSE_ASSERT(channel.open(bytes, text.data()) == 0, "nobody guesses a tag");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 5) {
    case 0: as_handshake(NoiseRole::kResponder, bytes); break;
    case 1: as_handshake(NoiseRole::kInitiator, bytes); break;
    case 2: as_records(bytes); break;
    case 3: {
      std::string why;
      std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      const auto ticket = read_ticket(text, why);
      std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
      RSE_ASSERT(!ticket || ticket_text(*ticket) == text, "a ticket has one text, but for blanks");
      RSE_ASSERT(ticket || !why.empty(), "a refusal has a reason");
      break;
    }
    case 4:
      if (const auto change = decode_trust_change(bytes)) {
        Bytes again;
        encode_trust_change(*change, again);
        RSE_ASSERT(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()), "a wish changed");
        Trust trust;
        trust.seed[0] = 1;
        trust.apply(*change);
      }
      break;
  }
  return 0;
}
