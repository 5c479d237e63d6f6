#include "transport/secure/record_key.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "torus/base/bytes.h"
#include "torus/base/random.h"

using namespace rse;

namespace {

std::vector<Cipher> ciphers() {
  std::vector<Cipher> all{Cipher::kChaCha20Poly1305};
  if (choose_cipher(usable_ciphers(), 0xFF) == Cipher::kAes256Gcm) all.push_back(Cipher::kAes256Gcm);
  return all;
}

Bytes sealed_by(Sealer& sealer, const Bytes& text) {
  Bytes sealed(text.size() + kRecordTagBytes);
  sealer.seal(text, sealed.data());
  return sealed;
}

Bytes text_of(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  return bytes;
}

}  // namespace

TEST_CASE("records: what was sealed opens in order, in place too, whatever its size") {
  for (const Cipher cipher : ciphers()) {
    const SecretKey key = random_secret();
    Sealer sealer(cipher, key);
    StreamOpener opener(cipher, key);
    for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 4700u, 65519u}) {
      CAPTURE(size);
      const Bytes text = text_of(size, size + 1);
      Bytes record = text;
      record.resize(size + kRecordTagBytes);
      sealer.seal(std::span(record).first(size), record.data());
      // One byte is encrypted as itself once in 256 runs.
      CHECK((size < 8 || !std::equal(text.begin(), text.end(), record.begin())));
      REQUIRE(opener.open(record, record.data()));
      CHECK(std::equal(text.begin(), text.end(), record.begin()));
    }
  }
}

TEST_CASE("records: changed, cut, doubled, swapped or left out, a record does not open, and nothing after it does") {
  for (const Cipher cipher : ciphers()) {
    for (int damage = 0; damage < 5; ++damage) {
      CAPTURE(damage);
      const SecretKey key = random_secret();
      Sealer sealer(cipher, key);
      StreamOpener opener(cipher, key);
      const Bytes text = text_of(100, 3);
      Bytes out(200);
      const Bytes first = sealed_by(sealer, text), second = sealed_by(sealer, text), third = sealed_by(sealer, text);
      CHECK(first != second);  // the same text, another counter
      REQUIRE(opener.open(first, out.data()));
      Bytes bad = second;
      if (damage == 0) bad[57] ^= std::byte{1};
      if (damage == 1) bad.resize(kRecordTagBytes - 1);
      if (damage == 2) bad = first;
      if (damage == 3) bad = third;
      if (damage == 4) bad.back() ^= std::byte{0x80};
      CHECK_FALSE(opener.open(bad, out.data()));
      CHECK_FALSE(opener.open(second, out.data()));
    }
  }
}

TEST_CASE("records: both sides change keys at the same record, and the key before does not serve any more") {
  for (const Cipher cipher : ciphers()) {
    const SecretKey secret = random_secret();
    Sealer sealer(cipher, secret);
    StreamOpener opener(cipher, secret);
    Bytes sealed(1 + kRecordTagBytes), out(1);
    const Bytes text(1);
    const RecordKey first(cipher, secret);
    for (std::uint64_t count = 0; count < kRecordsPerKey + 2; ++count) {
      sealer.seal(text, sealed.data());
      if (!opener.open(sealed, out.data())) FAIL("record " << count);
    }
    CHECK_FALSE(first.open(sealer.count() - 1, sealed, out.data()));
    CHECK(first.next().open(sealer.count() - 1, sealed, out.data()));
  }
}

TEST_CASE("replay window: each counter counts once, in any order, and those that are too old never") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t newest = 0;
    const std::uint32_t leap = random.below(3) == 0 ? 5000 : 40;
    for (int step = 0; step < 4000; ++step) {
      const bool ahead = random.below(2) == 0;
      std::uint64_t counter = ahead ? newest + random.below(leap) : newest - std::min<std::uint64_t>(newest, random.below(1300));
      const bool expected = (counter > newest || newest - counter < ReplayWindow::kSize) && !seen.contains(counter);
      CAPTURE(counter);
      REQUIRE(window.is_new(counter) == expected);
      if (!expected) continue;
      window.mark(counter);
      seen.insert(counter);
      newest = std::max(newest, counter);
    }
  }
}

TEST_CASE("datagrams: late and out of order they open once, across a change of keys too; a forged counter costs no work") {
  for (const Cipher cipher : ciphers()) {
    const SecretKey secret = random_secret();
    Sealer sealer(cipher, secret);
    DatagramOpener opener(cipher, secret);
    const Bytes text = text_of(9, 1);
    Bytes out(64);
    while (sealer.count() < kRecordsPerKey - 500) sealed_by(sealer, text);
    std::vector<std::pair<std::uint64_t, Bytes>> records;
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t counter = sealer.count();
      records.emplace_back(counter, sealed_by(sealer, text));
    }
    Random random(5);
    for (std::size_t i = records.size() - 1; i > 0; --i)
      std::swap(records[i], records[random.below(static_cast<std::uint32_t>(i + 1))]);
    for (const auto& [counter, record] : records) {
      CHECK_FALSE(opener.open(counter + 3 * kRecordsPerKey, record, out.data()));
      CHECK_FALSE(opener.open(counter + 1, record, out.data()));
      CHECK(opener.open(counter, record, out.data()));
      CHECK_FALSE(opener.open(counter, record, out.data()));
    }
  }
}
