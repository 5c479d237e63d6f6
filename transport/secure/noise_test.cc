#include "transport/secure/noise.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "torus/base/random.h"
#include "transport/secure/record_key.h"

using namespace rse;

namespace {

Bytes from_hex(std::string_view hex) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(std::byte(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return bytes;
}

std::vector<std::uint8_t> octets(std::string_view hex) {
  std::vector<std::uint8_t> octets;
  for (const std::byte byte : from_hex(hex)) octets.push_back(static_cast<std::uint8_t>(byte));
  return octets;
}

template <class Container>
std::string to_hex(const Container& bytes) {
  std::string hex;
  for (const auto byte : bytes) {
    hex += "0123456789abcdef"[static_cast<unsigned>(byte) >> 4];
    hex += "0123456789abcdef"[static_cast<unsigned>(byte) & 15];
  }
  return hex;
}

DhKey dh_key(std::string_view hex) {
  SecretKey secret;
  const auto bytes = octets(hex);
  std::copy(bytes.begin(), bytes.end(), secret.bytes.begin());
  return DhKey::from(secret);
}

// From the test vectors of the Noise implementation "cacophony" (Haskell), as the implementation "snow" keeps them in
// tests/vectors/cacophony.txt: those of the two protocols that RSE speaks. All vectors there have these keys in common.
constexpr std::string_view kPrologue = "4a6f686e2047616c74";
constexpr std::string_view kInitiatorStatic = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
constexpr std::string_view kInitiatorEphemeral = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
constexpr std::string_view kResponderStatic = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
constexpr std::string_view kResponderEphemeral = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
constexpr std::array<std::string_view, 6> kPayloads{
    "4c756477696720766f6e204d69736573", "4d757272617920526f746862617264",     "462e20412e20486179656b",
    "4361726c204d656e676572",           "4a65616e2d426170746973746520536179", "457567656e2042f6686d20766f6e2042617765726b"};

struct Vector {
  NoisePattern pattern;
  std::string_view hash;
  std::array<std::string_view, 6> messages;
};

constexpr Vector kXX{
    NoisePattern::kXX,
    "8cf47d7b3cb5804c0109d48e8bcdbee2cbb65687d8ea2c92994ca361fb86151ad93627b98936cbb32de56e8abb21def3925011ac3e35db9cbeea73ab"
    "9a4392c2",
    {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430505b6745ce64a5f33f0e8e3b83f11ce8802bca507f4f2d8b564db"
     "e277e1966116e132faa2dfd70b8b077b9f94b913df5056ae1319469b824a98d54bbaa82c325595587064f978c4b6d104f7596e6f",
     "99579e1c1ee15e422a57ddd6b16d37087b17558e8369c18991b4b2ca3a824abf904cdcf5458b5431a75af034ca9e9b982de039eaaf156775e2d580"
     "cd4e5ebae89c3f8cb2594b556d8a8169",
     "fc56eea290b3f3a21aac0c70cd5787b5ee99be37d2f4d751329b55",
     "bb31c9da10d5639a4cdb88a12f5c61de41bbc7df09bf75d94f8184fe4157f5c68f",
     "f6199cadb152fb27f82be0a0891ec76a33598ae92a46cab2fb5a8ed5bf48b7f267f8370af7"}};

constexpr Vector kIK{
    NoisePattern::kIK,
    "1c8fa891cb414fedba6daa7c6f4ae0a6d98e5f9768cc9cecd27e805614943ee9c8a1b27fbfb76dc197255c8aa69f6b4285c423840b8bedf45e652ca6"
    "4f797d81",
    {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944ba83a447b38c83e327ad936929812f624884847b7831e95e197b2f"
     "797088efdd2f88f1db7e1fb0e99c64419097af91cee64e470f4b6fcd9298ce0b56fe20f86e13bf70439c538e3602a7127af71a29cc",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088439f069b267a06b3de3ecb1043bcb098e9af91d9c64748d998c7b478"
     "90871571",
     "cd54383060e7a28434cca27fb1cc524cfbabeb18181589df219d07", "a856d3bf0246bfc476c655009cd1ed677b8dcc5b349ae8ef2a05f2",
     "49063084b2c51f098337cb8a13739ac848f907e67cfb2cc8a8b60586467aa02fc7",
     "8b9709d23b47e4639df7678d7a21741eba4ef1e9c60383001c7435549c20f9d56f30e935d3"}};

struct Pair {
  NoiseHandshake initiator, responder;
};

Pair make_pair(NoisePattern pattern, bool fixed = true) {
  const auto prologue = octets(kPrologue);
  NoiseHandshake::Options one{.pattern = pattern, .role = NoiseRole::kInitiator, .prologue = prologue};
  NoiseHandshake::Options two{.pattern = pattern, .role = NoiseRole::kResponder, .prologue = prologue};
  one.own = dh_key(kInitiatorStatic);
  two.own = dh_key(kResponderStatic);
  if (fixed) one.ephemeral = dh_key(kInitiatorEphemeral);
  if (fixed) two.ephemeral = dh_key(kResponderEphemeral);
  if (pattern == NoisePattern::kIK) one.peer = two.own.shared;
  return {NoiseHandshake(one), NoiseHandshake(two)};
}

}  // namespace

TEST_CASE("noise: handshakes and messages are those of the published vectors, byte for byte") {
  for (const Vector& vector : {kXX, kIK}) {
    Pair pair = make_pair(vector.pattern);
    std::size_t at = 0;
    for (; !pair.initiator.finished(); ++at) {
      CAPTURE(at);
      NoiseHandshake& from = at % 2 == 0 ? pair.initiator : pair.responder;
      NoiseHandshake& to = at % 2 == 0 ? pair.responder : pair.initiator;
      REQUIRE(from.my_turn());
      REQUIRE_FALSE(to.my_turn());
      Bytes message;
      REQUIRE(from.write(octets(kPayloads[at]), message));
      CHECK(to_hex(message) == vector.messages[at]);
      std::vector<std::uint8_t> payload;
      REQUIRE(to.read(message, payload));
      CHECK(to_hex(payload) == kPayloads[at]);
      CHECK(from.hash() == to.hash());
    }
    REQUIRE(pair.responder.finished());
    CHECK(to_hex(pair.initiator.hash()) == vector.hash);
    CHECK(pair.initiator.peer() == dh_key(kResponderStatic).shared);
    CHECK(pair.responder.peer() == dh_key(kInitiatorStatic).shared);
    const NoiseKeys one = pair.initiator.split(), two = pair.responder.split();
    Sealer to_responder(Cipher::kChaCha20Poly1305, one.sending), to_initiator(Cipher::kChaCha20Poly1305, two.sending);
    StreamOpener from_initiator(Cipher::kChaCha20Poly1305, two.receiving), from_responder(Cipher::kChaCha20Poly1305, one.receiving);
    for (; at < vector.messages.size(); ++at) {
      CAPTURE(at);
      const Bytes text = from_hex(kPayloads[at]);
      Bytes sealed(text.size() + kRecordTagBytes), opened(text.size());
      (at % 2 == 0 ? to_responder : to_initiator).seal(text, sealed.data());
      CHECK(to_hex(sealed) == vector.messages[at]);
      CHECK((at % 2 == 0 ? from_initiator : from_responder).open(sealed, opened.data()));
      CHECK(opened == text);
    }
  }
}

TEST_CASE("noise: a handshake message with any bit changed, or cut short, or too long, never ends in a shared key") {
  for (const NoisePattern pattern : {NoisePattern::kXX, NoisePattern::kIK}) {
    const std::size_t count = pattern == NoisePattern::kXX ? 3 : 2;
    for (std::size_t spoiled = 0; spoiled < count; ++spoiled) {
      Random random(7 + spoiled);
      for (int trial = 0; trial < 60; ++trial) {
        CAPTURE(spoiled);
        CAPTURE(trial);
        Pair pair = make_pair(pattern, false);
        bool failed = false;
        for (std::size_t at = 0; at < count && !failed; ++at) {
          NoiseHandshake& from = at % 2 == 0 ? pair.initiator : pair.responder;
          NoiseHandshake& to = at % 2 == 0 ? pair.responder : pair.initiator;
          Bytes message;
          failed = !from.write(octets(kPayloads[at]), message);
          if (at == spoiled) {
            const auto place = random.below(static_cast<std::uint32_t>(message.size()));
            if (trial % 3 == 0) message.resize(place);
            if (trial % 3 == 1) message.resize(message.size() + 1 + random.below(2000));
            // The top bit of an X25519 key has no meaning; it is in the hash all the same.
            if (trial % 3 == 2) message[place] ^= std::byte(1u << random.below(8));
          }
          std::vector<std::uint8_t> payload;
          failed = failed || !to.read(message, payload);
        }
        // The first message of XX is open text and its last byte may change unseen; then the hashes differ, and so does
        // everything after it.
        CHECK(failed);
      }
    }
  }
}

TEST_CASE("noise: keys of small order are refused") {
  Pair pair = make_pair(NoisePattern::kXX, false);
  const Bytes zeros(32);
  std::vector<std::uint8_t> payload;
  REQUIRE(pair.responder.read(zeros, payload));
  Bytes message;
  CHECK_FALSE(pair.responder.write({}, message));
}

TEST_CASE("noise: a message out of turn is refused") {
  Pair pair = make_pair(NoisePattern::kXX, false);
  Bytes message;
  REQUIRE(pair.initiator.write({}, message));
  std::vector<std::uint8_t> payload;
  CHECK(pair.initiator.my_turn() == false);
  REQUIRE(pair.responder.read(message, payload));
  CHECK_FALSE(pair.responder.read(message, payload));  // doubled
}

TEST_CASE("noise: the identity key and the key of handshakes are one point in two forms") {
  for (int trial = 0; trial < 20; ++trial) {
    const NodeKey key = NodeKey::generate();
    CHECK(dh_form(key.shared()) == key.dh().shared);
    const NodeKey same(key.seed());
    CHECK(same.shared() == key.shared());
  }
  CHECK_FALSE(dh_form(PublicKey{}));
}
