// What the secure channel costs beside the bare cipher: seal and open of one message, in the same run, and a handshake.
//   bazel run -c opt //tests/bench:secure [-- --json]
// Each figure is the median of many short rounds, the channel and the cipher taking turns, because the machine is shared.
#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "torus/base/assert.h"
#include "transport/secure/channel.h"

namespace rse {
namespace {

constexpr int kRounds = 301;
constexpr std::size_t kBytesPerRound = 1u << 20;

double microseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Two ends of one channel, joined by memory.
struct Pair {
  explicit Pair(const std::shared_ptr<TrustBook>& book)
      : one(NoiseRole::kInitiator, book, "bench:1"), two(NoiseRole::kResponder, book, "bench:2") {
    Bytes to_two, to_one;
    one.start(to_two);
    two.on_handshake(to_two, 0, to_one);
    to_two.clear();
    one.on_handshake(to_one, 0, to_two);
    two.on_handshake(to_two, 0, to_one);
    RSE_ASSERT(two.state() == SecureChannel::State::kOpen, "the two trust each other");
  }
  SecureChannel one, two;
};

/// The cipher alone, with the key's schedule made before, as the channel has it.
struct Bare {
  explicit Bare(Cipher cipher) : cipher(cipher) {
    randombytes_buf(key, sizeof key);
    crypto_aead_aes256gcm_beforenm(&schedule, key);
  }
  void seal(const Bytes& text, Bytes& out) {
    auto* to = reinterpret_cast<unsigned char*>(out.data());
    const auto* from = reinterpret_cast<const unsigned char*>(text.data());
    ++nonce[0];
    if (cipher == Cipher::kAes256Gcm) {
      crypto_aead_aes256gcm_encrypt_afternm(to, nullptr, from, text.size(), nullptr, 0, nullptr, nonce, &schedule);
    } else {
      crypto_aead_chacha20poly1305_ietf_encrypt(to, nullptr, from, text.size(), nullptr, 0, nullptr, nonce, key);
    }
  }
  void open(const Bytes& sealed, Bytes& out) {
    auto* to = reinterpret_cast<unsigned char*>(out.data());
    const auto* from = reinterpret_cast<const unsigned char*>(sealed.data());
    const int failed =
        cipher == Cipher::kAes256Gcm
            ? crypto_aead_aes256gcm_decrypt_afternm(to, nullptr, nullptr, from, sealed.size(), nullptr, 0, nonce, &schedule)
            : crypto_aead_chacha20poly1305_ietf_decrypt(to, nullptr, nullptr, from, sealed.size(), nullptr, 0, nonce, key);
    RSE_ASSERT(failed == 0, "what was sealed opens");
  }
  Cipher cipher;
  unsigned char key[32], nonce[12] = {};
  crypto_aead_aes256gcm_state schedule;
};

struct Row {
  std::size_t size = 0;
  double bare_seal = 0, seal = 0, bare_open = 0, open = 0;  // us a message
};

Row measure(std::size_t size, const std::shared_ptr<TrustBook>& book) {
  Pair pair(book);
  Bare bare(pair.one.cipher());
  const std::size_t count = std::max<std::size_t>(1, kBytesPerRound / 4 / (size + 512));
  const Bytes text(size, std::byte{7});
  Bytes bare_out(size + kRecordTagBytes), bare_text(size), wire, opened(size + 4);
  std::vector<double> bare_seal, seal, bare_open, open;
  for (int round = 0; round < kRounds; ++round) {
    bare_seal.push_back(microseconds([&] {
      for (std::size_t i = 0; i < count; ++i) bare.seal(text, bare_out);
    }));
    bare_open.push_back(microseconds([&] {
      for (std::size_t i = 0; i < count; ++i) bare.open(bare_out, bare_text);
    }));
    wire.resize(count * SecureChannel::sealed_size(size + 4));
    seal.push_back(microseconds([&] {
      std::byte* at = wire.data();
      for (std::size_t i = 0; i < count; ++i, at += SecureChannel::sealed_size(size + 4)) {  // as a connection does: the frame's size, then the frame
        const std::uint32_t announced = static_cast<std::uint32_t>(size);
        const auto header = std::as_bytes(std::span(&announced, 1));
        const std::array<std::span<const std::byte>, 2> pieces{header, text};
        pair.one.seal(pieces, at);
      }
    }));
    open.push_back(microseconds([&] {
      std::size_t at = 0, have = 0;
      while (at < wire.size()) {
        const std::span<const std::byte> in(wire.data() + at, wire.size() - at);
        const std::size_t some = pair.two.next_record(in);
        if (have + some > opened.size()) have = 0;
        at += pair.two.open(in, opened.data() + have);
        have = (have + some) % opened.size();
      }
    }));
  }
  const double each = static_cast<double>(count);
  return {size, median(bare_seal) / each, median(seal) / each, median(bare_open) / each, median(open) / each};
}

int run(bool json) {
  auto book = std::make_shared<TrustBook>(NodeKey::generate());
  book->trust.seed = random_secret().bytes;
  book->trust.admitted = {{{1}, book->key.shared()}};
  const char* const cipher = Pair(book).one.cipher() == Cipher::kAes256Gcm ? "AES-256-GCM" : "ChaCha20-Poly1305";
  std::vector<double> handshakes;
  for (int i = 0; i < 101; ++i) handshakes.push_back(microseconds([&] { Pair pair(book); }));
  const double handshake = median(handshakes);
  if (json) fmt::print("{{\"cipher\": \"{}\", \"handshake_both_ends_us\": {:.0f}, \"rows\": [", cipher, handshake);
  if (!json) fmt::print("cipher {}; a handshake, both ends: {:.0f} us\n", cipher, handshake);
  if (!json) fmt::print("{:>8} {:>12} {:>12} {:>8} {:>12} {:>12} {:>8}   us a message\n", "bytes", "bare seal", "seal", "more", "bare open", "open", "more");
  bool first = true;
  for (const std::size_t size : {64u, 4'700u, 65'536u}) {
    const Row row = measure(size, book);
    if (json) {
      fmt::print("{}{{\"bytes\": {}, \"bare_seal_us\": {:.3f}, \"seal_us\": {:.3f}, \"bare_open_us\": {:.3f}, \"open_us\": {:.3f}}}",
                 std::exchange(first, false) ? "" : ", ", size, row.bare_seal, row.seal, row.bare_open, row.open);
    } else {
      fmt::print("{:>8} {:>12.2f} {:>12.2f} {:>8.2f} {:>12.2f} {:>12.2f} {:>8.2f}\n", size, row.bare_seal, row.seal,
                 row.seal - row.bare_seal, row.bare_open, row.open, row.open - row.bare_open);
    }
  }
  if (json) fmt::print("]}}\n");
  return 0;
}

}  // namespace
}  // namespace rse

int main(int argc, char** argv) { return rse::run(argc > 1 && std::string_view(argv[1]) == "--json"); }
