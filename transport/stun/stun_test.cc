#include "transport/stun/stun.h"

#include <doctest/doctest.h>

#include "torus/base/random.h"

namespace rse {
namespace {

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(at, 2)), nullptr, 16)));
  }
  return bytes;
}

constexpr StunTransaction kTransaction{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
constexpr const char* kHeader = "2112a442b7e7a701bc34d686fa87dfae";
constexpr Instant kStart{1'000'000'000};

// RFC 5769, sections 2.2 and 2.3: a server's name, the address, integrity, fingerprint.
const Bytes& answer_v4() {
  static const Bytes bytes = from_hex(
      "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
      "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96");
  return bytes;
}
const Bytes& answer_v6() {
  static const Bytes bytes = from_hex(
      "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa"
      "a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c");
  return bytes;
}
/// Section 2.1.
const Bytes& request() {
  static const Bytes bytes = from_hex(
      "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
      "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
      "c1b571a280280004e57a3bcf");
  return bytes;
}

TEST_CASE("stun: the sample answers of RFC 5769 say what they say there") {
  const auto v4 = read_stun_answer(answer_v4(), kTransaction);
  REQUIRE((v4 && v4->mapped));
  CHECK(v4->mapped->address().to_string() == "192.0.2.1");
  CHECK(v4->mapped->port() == 32853);
  const auto v6 = read_stun_answer(answer_v6(), kTransaction);
  REQUIRE((v6 && v6->mapped));
  CHECK(v6->mapped->address().to_string() == "2001:db8:1234:5678:11:2233:4455:6677");
  CHECK(v6->mapped->port() == 32853);
}

TEST_CASE("stun: our question has the header and the fingerprint of the sample request, and nothing else") {
  const Bytes ours = stun_request(kTransaction);
  CHECK(ours.size() == 28);
  CHECK(std::equal(ours.begin() + 4, ours.begin() + 20, request().begin() + 4));
  CHECK(ours == from_hex("000100082112a442b7e7a701bc34d686fa87dfae80280004fdf6ae02"));
  CHECK_FALSE(read_stun_answer(request(), kTransaction));  // a question is no answer
}

TEST_CASE("stun: an answer that is changed anywhere, cut anywhere, or to another question is none") {
  for (const Bytes* right : {&answer_v4(), &answer_v6()}) {
    for (std::size_t at = 0; at < right->size(); ++at) {
      CAPTURE(at);
      Bytes changed = *right;
      changed[at] ^= std::byte{0x40};
      // The type of the fingerprint alone: then there is none, as with many servers.
      const bool of_fingerprint = at + 8 == right->size() || at + 7 == right->size();
      CHECK(read_stun_answer(changed, kTransaction).has_value() == of_fingerprint);
      CHECK_FALSE(read_stun_answer(std::span(*right).first(at), kTransaction));
    }
    StunTransaction other = kTransaction;
    other[5] ^= 1;
    CHECK_FALSE(read_stun_answer(*right, other));
  }
}

TEST_CASE("stun: what an older server says counts; an address behind the integrity, or beside an unknown part, does not") {
  const std::string header = std::string(kHeader);
  const auto old = read_stun_answer(from_hex("0101000c" + header + "0001000800011f90c0000201"), kTransaction);
  REQUIRE((old && old->mapped));
  CHECK(old->mapped->port() == 8080);
  const std::string integrity = "00080014" + std::string(40, '0');
  const auto behind = read_stun_answer(from_hex("01010024" + header + integrity + "0001000800011f90c0000201"), kTransaction);
  REQUIRE(behind);
  CHECK_FALSE(behind->mapped);
  CHECK_FALSE(read_stun_answer(from_hex("01010010" + header + "7ffe0000" + "0001000800011f90c0000201"), kTransaction));
  CHECK(read_stun_answer(from_hex("01010010" + header + "fffe0000" + "0001000800011f90c0000201"), kTransaction)->mapped);
}

TEST_CASE("stun: a refusal is told with its number and reason, and nothing unprintable") {
  StunClient client(kTransaction, kStart);
  CHECK(client.poll_send(kStart));
  CHECK(client.on_datagram(from_hex("01110010" + std::string(kHeader) + "0009000a00000414556e6b1b6f77" + "0000")));
  CHECK(client.state() == StunClient::State::kFailed);
  CHECK(client.why() == "it answers 420 Unk?ow");
  CHECK_FALSE(client.next_deadline());
}

TEST_CASE("stun: a question is asked seven times, further and further apart, and then it is over") {
  StunClient client(kTransaction, kStart);
  std::vector<std::uint64_t> times;
  Instant now = kStart;
  while (const auto deadline = client.next_deadline()) {
    now = *deadline;
    if (client.poll_send(now)) times.push_back((now.raw - kStart.raw) / 1'000'000);
  }
  CHECK(times == std::vector<std::uint64_t>{0, 500, 1500, 3500, 7500, 15'500, 31'500});
  CHECK(now.raw - kStart.raw == 39'500'000'000);
  CHECK(client.why() == "it does not answer");
}

TEST_CASE("stun: the answer ends the asking, whichever of the questions it is to; a doubled one changes nothing") {
  StunClient client(kTransaction, kStart);
  CHECK(client.poll_send(kStart));
  CHECK_FALSE(client.poll_send(kStart + milliseconds(499)));
  CHECK(client.poll_send(kStart + milliseconds(500)));
  CHECK_FALSE(client.on_datagram(request()));
  CHECK(client.on_datagram(answer_v4()));
  CHECK(client.state() == StunClient::State::kAnswered);
  CHECK(client.on_datagram(answer_v6()));
  CHECK(client.mapped().address().is_v4());
  CHECK_FALSE(client.poll_send(kStart + milliseconds(2000)));
}

}  // namespace
}  // namespace rse
