// Codecs of packets and scenarios: what is written is read back, hostile bytes are refused or read, never worse.
#include "torus/braid/packet.h"

#include <doctest/doctest.h>

#include "torus/braid/machine_story.h"
#include "torus/engine/program.h"

namespace rse {
namespace {

Packet random_packet(Random& random) {
  Packet packet;
  packet.run = RunId{random.next()};
  packet.torus = TorusId{static_cast<std::uint8_t>(random.below(3))};
  packet.epoch = Epoch{random.below(1000)};
  packet.next_epoch = packet.epoch + 1 + random.below(3);
  packet.seal = random_seal(random, packet.torus, random.below(2) == 0, true);
  Projection& projection = packet.projection;
  projection.run = packet.run;
  projection.torus = packet.torus;
  projection.epoch = packet.epoch;
  projection.end_tick = Tick{random.next()};
  projection.quiet = random.below(2) == 0;
  for (std::uint32_t& state : projection.boundary_states) state = random.below(100);
  for (std::int64_t& value : projection.constraint_vector) value = static_cast<std::int64_t>(random.next());
  const auto event = [&](TorusId to) {
    return Event{Tick{random.next()}, CellId{to.raw * kCellCount + random.below(kCellCount)},
                 CellId{packet.torus.raw * kCellCount + random.below(kCellCount)}, static_cast<std::int32_t>(random.next())};
  };
  for (std::uint32_t i = random.below(5); i-- > 0;) packet.batch_to_next.push_back(event(next_torus(packet.torus)));
  for (std::uint32_t i = random.below(5); i-- > 0;) packet.batch_to_previous.push_back(event(previous_torus(packet.torus)));
  return packet;
}

Bytes bytes_of(const Packet& packet) {
  Bytes bytes;
  encode_packet(packet, bytes);
  return bytes;
}

Result<Packet> packet_from(const Bytes& bytes) {
  ByteReader reader(bytes);
  auto packet = decode_packet(reader);
  if (packet && !reader.finished()) return Error::kMalformed;
  return packet;
}

void spoil(Bytes& bytes, Random& random) {
  const std::uint32_t at = random.below(static_cast<std::uint32_t>(bytes.size()));
  switch (random.below(4)) {
    case 0: bytes[at] = static_cast<std::byte>(random.next()); break;
    case 1: bytes[at] ^= static_cast<std::byte>(1u << random.below(8)); break;
    case 2: bytes.resize(at); break;
    case 3: std::fill_n(bytes.begin() + at, std::min<std::size_t>(4, bytes.size() - at), std::byte{0xFF}); break;
  }
}

TEST_CASE("packet: it comes back as it went, whatever it holds") {
  Random random(1);
  for (int attempt = 0; attempt < 500; ++attempt) {
    CAPTURE(attempt);
    const Packet packet = random_packet(random);
    const Bytes bytes = bytes_of(packet);
    auto read = packet_from(bytes);
    REQUIRE(read.ok());
    CHECK(bytes_of(*read) == bytes);
    CHECK(read->projection == packet.projection);
    CHECK(read->seal == packet.seal);
    CHECK(seal_hash(read->seal) == seal_hash(packet.seal));
    CHECK(projection_digest(read->projection) == projection_digest(packet.projection));
  }
}

TEST_CASE("packet: hostile bytes are refused, or read as what they then say") {
  Random random(2);
  int read_count = 0;
  for (int attempt = 0; attempt < 20000; ++attempt) {
    CAPTURE(attempt);
    Bytes bytes = bytes_of(random_packet(random));
    for (std::uint32_t i = 1 + random.below(3); i-- > 0 && !bytes.empty();) spoil(bytes, random);
    auto read = packet_from(bytes);
    if (!read) continue;
    ++read_count;
    CHECK(bytes_of(*read) == bytes);
  }
  CHECK(read_count > 100);
  CHECK(packet_from({}).error() == Error::kTruncated);
}

TEST_CASE("packet: an event that is not the peer's to send, or not for its batch, is refused") {
  Random random(3);
  Packet packet = random_packet(random);
  packet.torus = packet.projection.torus = TorusId{0};
  packet.batch_to_previous.clear();
  packet.batch_to_next = {{Tick{1}, cell_at({1}, 0, 0, 0), cell_at({0}, 0, 0, 0), 1}};
  REQUIRE(packet_from(bytes_of(packet)).ok());
  SUBCASE("from a foreign cell") { packet.batch_to_next[0].src = cell_at({1}, 0, 0, 0); }
  SUBCASE("to another torus") { packet.batch_to_next[0].dst = cell_at({2}, 0, 0, 0); }
  SUBCASE("from nowhere") { packet.batch_to_next[0].src = CellId{~0u}; }
  CHECK(packet_from(bytes_of(packet)).error() == Error::kForeignEvent);
}

TEST_CASE("packet: texts beyond their bounds are refused") {
  Random random(4);
  Packet packet = random_packet(random);
  packet.seal.injections.resize(1);
  Injection& injection = packet.seal.injections[0];
  injection.kind = Injection::Kind::kSpawn;
  injection.program = std::string(kProgramNameBytesMax, 'p');
  injection.args = std::string(kProgramArgsBytesMax, 'a');
  CHECK(packet_from(bytes_of(packet)).ok());
  SUBCASE("name") { injection.program += 'p'; }
  SUBCASE("arguments") { injection.args += 'a'; }
  CHECK(!packet_from(bytes_of(packet)).ok());
}

TEST_CASE("scenario: it comes back as it went, hostile bytes are refused or read as what they say") {
  Random random(5);
  int read_count = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    const Bytes honest = encode_scenario(random_scenario(seed, {.with_programs = seed % 2 == 0}));
    auto same = decode_scenario(honest);
    REQUIRE(same.ok());
    CHECK(encode_scenario(*same) == honest);
    Bytes bytes = honest;
    for (std::uint32_t i = 1 + random.below(3); i-- > 0 && !bytes.empty();) spoil(bytes, random);
    auto read = decode_scenario(bytes);
    if (!read) continue;
    ++read_count;
    CHECK(encode_scenario(*read) == bytes);
  }
  CHECK(read_count > 100);
}

TEST_CASE("scenario: what may not be is refused with its own error") {
  Scenario scenario;
  const CellId cell = cell_at({0}, 0, 0, 0);
  CHECK(decode_scenario({}).error() == Error::kTruncated);
  SUBCASE("delay 0") {
    scenario.edges = {{cell, cell, 0}};
    CHECK(decode_scenario(encode_scenario(scenario)).error() == Error::kBadDelay);
  }
  SUBCASE("no ticks") {
    scenario.epoch_ticks = 0;
    CHECK(decode_scenario(encode_scenario(scenario)).error() == Error::kMalformed);
  }
  SUBCASE("a cell beyond the tori") {
    scenario.injections = {{Tick{0}, CellId{3 * kCellCount}, cell, 1}};
    CHECK(decode_scenario(encode_scenario(scenario)).error() == Error::kMalformed);
  }
  SUBCASE("another version") {
    Bytes bytes = encode_scenario(scenario);
    bytes[3] = std::byte{'2'};
    CHECK(decode_scenario(bytes).error() == Error::kUnknownVersion);
  }
}

}  // namespace
}  // namespace rse
