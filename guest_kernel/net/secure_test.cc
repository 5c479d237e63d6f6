// The cryptography of links as it is linked into the kernel, against published vectors: a library that was built for user space
// must not be wrong here by a register or a flag.
#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "guest_kernel/test/test.h"
#include "transport/secure/noise.h"
#include "transport/secure/record_key.h"

#ifdef RSE_GUEST_KERNEL
#include "guest_kernel/runtime/entropy.h"
#endif

using namespace rse;

namespace {

template <std::size_t kSize>
std::array<std::uint8_t, kSize> bytes_of(std::string_view hex) {
  std::array<std::uint8_t, kSize> bytes{};
  const std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < kSize; ++i) bytes[i] = static_cast<std::uint8_t>(digits.find(hex[2 * i]) << 4 | digits.find(hex[2 * i + 1]));
  return bytes;
}

SecretKey secret_of(std::string_view hex) {
  SecretKey secret;
  secret.bytes = bytes_of<32>(hex);
  return secret;
}

/// The host has random numbers, a guest under test is given some.
void have_random_numbers() {
#ifdef RSE_GUEST_KERNEL
  const std::array<std::byte, kernel::kEntropyBytes> some{std::byte{1}};
  kernel::add_entropy(some);
#endif
}

}  // namespace

TEST_CASE("secure: X25519 (RFC 7748, 6.1) and Ed25519 (RFC 8032, 7.1, test 2) give the published results") {
  const DhKey alice = DhKey::from(secret_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  CHECK(alice.shared == bytes_of<32>("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
  const SecretKey seed = secret_of("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  CHECK(public_key_of(seed).bytes == bytes_of<32>("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
  const std::array<std::uint8_t, 1> text{0x72};
  const Signature signature = sign(seed, text);
  CHECK(signature == bytes_of<64>("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
                                  "387b2eaeb4302aeeb00d291612bb0c00"));
  CHECK(signature_is_of(public_key_of(seed), text, signature));
  const std::array<std::uint8_t, 1> other{0x73};
  CHECK_FALSE(signature_is_of(public_key_of(seed), other, signature));
}

TEST_CASE("secure: two ends shake hands, know each other, and what one seals the other opens once") {
  have_random_numbers();
  const NodeKey one = NodeKey::generate(), two = NodeKey::generate();
  CHECK(one.shared() != two.shared());
  const auto end_of = [](const NodeKey& key, NoiseRole role) {
    return NoiseHandshake({.pattern = NoisePattern::kXX, .role = role, .own = key.dh()});
  };
  NoiseHandshake asks = end_of(one, NoiseRole::kInitiator), answers = end_of(two, NoiseRole::kResponder);
  std::vector<std::uint8_t> payload;
  for (int message = 0; message < 3; ++message) {
    Bytes bytes;
    NoiseHandshake& from = message % 2 == 0 ? asks : answers;
    NoiseHandshake& to = message % 2 == 0 ? answers : asks;
    REQUIRE(static_cast<bool>(from.write(std::array<std::uint8_t, 3>{1, 2, 3}, bytes)));
    REQUIRE(static_cast<bool>(to.read(bytes, payload)));
    CHECK(payload == std::vector<std::uint8_t>{1, 2, 3});
  }
  REQUIRE(asks.finished());
  CHECK((asks.peer() == two.dh().shared && answers.peer() == one.dh().shared));
  Sealer sealer(Cipher::kChaCha20Poly1305, asks.split().sending);
  DatagramOpener opener(Cipher::kChaCha20Poly1305, answers.split().receiving);
  Bytes text(1300, std::byte{7}), sealed(text.size() + kRecordTagBytes), opened(text.size());
  for (int record = 0; record < 20; ++record) {
    const std::uint64_t number = sealer.seal(text, sealed.data());
    CHECK(opener.open(number, sealed, opened.data()));
    CHECK(opened == text);
    CHECK_FALSE(opener.open(number, sealed, opened.data()));  // again
  }
  const std::uint64_t number = sealer.seal(text, sealed.data());
  sealed[700] ^= std::byte{1};
  CHECK_FALSE(opener.open(number, sealed, opened.data()));
}
