#include "transport/codec/codec.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "proto/rse/v1/messages.pb.h"
#include "torus/braid/torus_machine.h"
#include "transport/codec/random_message.h"

using namespace rse;
using testing::dump;
using testing::random_envelope;

namespace {

constexpr std::size_t kKindCount = std::variant_size_v<Message>;

Bytes bytes_of(const google::protobuf::MessageLite& wire) {
  Bytes bytes(wire.ByteSizeLong());
  wire.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

v1::Envelope wire_of(const Envelope& envelope) {
  v1::Envelope wire;
  const Bytes bytes = encode_envelope(envelope);
  REQUIRE(wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return wire;
}

Error refusal(const v1::Envelope& wire) {
  const auto decoded = decode_envelope(bytes_of(wire));
  REQUIRE_FALSE(decoded);
  return decoded.error();
}

template <class M>
Envelope envelope_of(M message) {
  return {{1}, 1, {2}, std::move(message)};
}

Hello some_hello() {
  Hello hello;
  hello.cluster = {0xABCD};
  hello.self = {{42}, 7, "first", {"10.0.0.7:7400"}};
  return hello;
}

}  // namespace

TEST_CASE("codec: every kind of message comes back with every field") {
  for (std::size_t kind = 0; kind < kKindCount; ++kind) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      CAPTURE(kind);
      CAPTURE(seed);
      const Envelope envelope = random_envelope(kind, seed);
      const Bytes bytes = encode_envelope(envelope);
      const auto decoded = decode_envelope(bytes);
      REQUIRE(decoded);
      CHECK(dump(*decoded) == dump(envelope));
    }
  }
}

TEST_CASE("codec: libprotobuf finds every field where messages.proto has it, and writes the same bytes") {
  for (std::size_t kind = 0; kind < kKindCount; ++kind) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      CAPTURE(kind);
      CAPTURE(seed);
      const Envelope envelope = random_envelope(kind, seed);
      v1::Envelope wire = wire_of(envelope);
      wire.DiscardUnknownFields();
      const Bytes theirs = bytes_of(wire);
      const bool has_regions = wire.has_shard_part() || wire.has_gather_regions();
      if (!has_regions) CHECK(theirs == encode_envelope(envelope));  // of a region we write the bytes last
      const auto decoded = decode_envelope(theirs);
      REQUIRE(decoded);
      CHECK(dump(*decoded) == dump(envelope));
    }
  }
}

TEST_CASE("codec: regions are written by hand as libprotobuf would, and no byte of them is copied") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    const ShardPart part = std::get<ShardPart>(random_envelope(2, seed).message);
    const Envelope envelope = envelope_of(part);
    const v1::Envelope wire = wire_of(envelope);
    REQUIRE(wire.shard_part().regions_size() == static_cast<int>(part.pieces.size()));
    CHECK(wire.shard_part().cut() == part.cut);
    CHECK(wire.destination() == 2);
    std::size_t shared = 0;
    const auto parts = encode_parts(envelope);
    for (std::size_t i = 0; i < part.pieces.size(); ++i) {
      const RegionPiece& piece = part.pieces[i];
      const v1::Region& region = wire.shard_part().regions(static_cast<int>(i));
      CHECK(region.index() == piece.index);
      CHECK(region.total() == piece.total);
      CHECK(region.offset() == piece.offset);
      CHECK(std::ranges::equal(std::as_bytes(std::span(region.bytes())), piece.bytes.bytes));
      if (piece.bytes.bytes.empty()) continue;
      shared += std::any_of(parts.begin(), parts.end(), [&](const SharedBytes& each) {
        return each.bytes.data() == piece.bytes.bytes.data() && each.owner == piece.bytes.owner;
      });
    }
    CHECK(shared == static_cast<std::size_t>(std::count_if(wire.shard_part().regions().begin(),
                                                           wire.shard_part().regions().end(),
                                                           [](const v1::Region& region) { return !region.bytes().empty(); })));
    // What libprotobuf writes is read, too.
    const Bytes bytes = bytes_of(wire);
    const auto decoded = decode_envelope(bytes);
    REQUIRE(decoded);
    CHECK(dump(*decoded) == dump(envelope));
    for (const RegionPiece& piece : std::get<ShardPart>(decoded->message).pieces) {
      const bool lent = piece.bytes.bytes.empty() || (piece.bytes.bytes.data() >= bytes.data() &&
                                                      piece.bytes.bytes.data() < bytes.data() + bytes.size());
      CHECK(lent);
    }
  }
}

TEST_CASE("codec: a piece that does not fit into its region, or of a region that nobody can have, is refused") {
  v1::Envelope wire;
  auto& region = *wire.mutable_shard_part()->add_regions();
  region.set_total(10);
  region.set_bytes("0123456789");
  CHECK(decode_envelope(bytes_of(wire)));
  region.set_offset(1);
  CHECK(refusal(wire) == Error::kMalformed);
  region.set_offset(11);
  region.clear_bytes();
  CHECK(refusal(wire) == Error::kMalformed);
  region.set_offset(0);
  region.set_total((256u << 20) + 1);
  CHECK(refusal(wire) == Error::kTooLarge);
  region.set_total(256u << 20);
  CHECK(decode_envelope(bytes_of(wire)));
  region.set_index(129);
  CHECK(refusal(wire) == Error::kMalformed);
}

TEST_CASE("codec: a projection takes the same bytes whatever is in it, at most kProjectionBytesMax") {
  v1::Projection wire;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto message = std::get<PacketMessage>(random_envelope(1, seed).message);
    if (seed == 0) message.packet.projection = Projection{};
    if (seed == 0) message.packet.run = {}, message.packet.torus = {}, message.packet.epoch = {};
    const auto size =
        wire_of(envelope_of(message)).packet_message().packet().projection().ByteSizeLong();
    CHECK(size == 4346);
    CHECK(size <= kProjectionBytesMax);
  }
}

TEST_CASE("codec: the largest packet fits in a message") {
  PacketMessage message;
  Packet& packet = message.packet;
  packet.next_epoch = {1};
  packet.batch_to_next.assign(kBatchEventsMax, {{~0ull}, cell_at({1}, 31, 31, 31), {5}, -1});
  packet.batch_to_previous.assign(kBatchEventsMax, {{~0ull}, cell_at({2}, 31, 31, 31), {5}, -1});
  Injection injection;
  injection.client = {~0ull};
  injection.sequence = ~0ull;
  injection.program.assign(32, 'p');
  injection.args.assign(256, 'a');
  packet.seal.injections.assign(kInjectionsPerSealMax, injection);
  const Bytes bytes = encode_envelope(envelope_of(message));
  CHECK(bytes.size() <= kMessageBytesMax);
  const auto decoded = decode_envelope(bytes);
  REQUIRE(decoded);
  CHECK(std::get<PacketMessage>(decoded->message).packet.batch_to_next == packet.batch_to_next);
  packet.batch_to_next.push_back(packet.batch_to_next.front());
  CHECK(decode_envelope(encode_envelope(envelope_of(message))).error() == Error::kTooLarge);
}

TEST_CASE("codec: an event that is not of the packet's torus, or not for the right peer, is refused") {
  PacketMessage message;
  message.packet.next_epoch = {1};
  message.packet.batch_to_next = {{{1}, {kCellCount}, {0}, 1}};
  REQUIRE(decode_envelope(encode_envelope(envelope_of(message))));
  auto foreign_source = message;
  foreign_source.packet.batch_to_next[0].src = {kCellCount};
  CHECK(refusal(wire_of(envelope_of(foreign_source))) == Error::kForeignEvent);
  auto foreign_destination = message;
  foreign_destination.packet.batch_to_next[0].dst = {2 * kCellCount};
  CHECK(refusal(wire_of(envelope_of(foreign_destination))) == Error::kForeignEvent);
  auto nowhere = message;
  nowhere.packet.seal.injections.resize(1);
  nowhere.packet.seal.injections[0].dst = {3 * kCellCount};
  CHECK(refusal(wire_of(envelope_of(nowhere))) == Error::kForeignEvent);
}

TEST_CASE("codec: a packet that contradicts itself is refused") {
  PacketMessage message;
  message.packet.next_epoch = {1};
  auto wire = wire_of(envelope_of(message));
  auto& packet = *wire.mutable_packet_message()->mutable_packet();
  packet.mutable_projection()->set_run(9);
  CHECK(refusal(wire) == Error::kMalformed);
  packet.mutable_projection()->set_run(0);
  packet.set_next_epoch(0);
  CHECK(refusal(wire) == Error::kMalformed);
  packet.set_next_epoch(1);
  packet.mutable_projection()->add_boundary_states(1);
  CHECK(refusal(wire) == Error::kMalformed);
  packet.mutable_projection()->mutable_boundary_states()->RemoveLast();
  packet.mutable_batch_to_next()->add_time(1);
  CHECK(refusal(wire) == Error::kMalformed);
  packet.mutable_batch_to_next()->clear_time();
  CHECK(decode_envelope(bytes_of(wire)));
  packet.set_torus(3);
  CHECK(refusal(wire) == Error::kWrongTorus);
}

TEST_CASE("codec: numbers outside their range are refused") {
  v1::Envelope wire;
  wire.mutable_inject_answer()->set_status(static_cast<v1::InjectAnswer::Status>(5));
  CHECK(refusal(wire) == Error::kMalformed);
  wire.mutable_shard_ack()->set_halves(4);
  CHECK(refusal(wire) == Error::kMalformed);
  wire.mutable_shard_ack()->set_halves(256 + 1);  // would fit if it were cut to a byte first
  CHECK(refusal(wire) == Error::kMalformed);
  wire.mutable_take_over()->set_torus(256);
  CHECK(refusal(wire) == Error::kWrongTorus);
  wire.mutable_gather_regions()->add_regions()->set_index(129);
  CHECK(refusal(wire) == Error::kMalformed);
  wire.mutable_gather_regions()->mutable_digests()->assign(32, 'x');
  CHECK(refusal(wire) == Error::kMalformed);
  wire.mutable_heartbeat();  // without its three-element lists
  CHECK(refusal(wire) == Error::kMalformed);
  wire.mutable_promise()->set_accepted("a value without a ballot");
  CHECK(refusal(wire) == Error::kMalformed);
  wire.mutable_scenario_held()->set_hash("short");
  CHECK(refusal(wire) == Error::kMalformed);
  CHECK(refusal(v1::Envelope()) == Error::kMalformed);
}

TEST_CASE("codec: every list has its bound") {
  v1::Envelope wire;
  for (std::size_t i = 0; i <= kTorusCount * kHoldingsMax; ++i) wire.mutable_holdings()->add_cuts();
  CHECK(refusal(wire) == Error::kTooLarge);
  for (std::size_t i = 0; i <= kAddressesMax; ++i) {
    wire.mutable_join()->mutable_joiner()->add_addresses(std::string(1, 'a'));
  }
  CHECK(refusal(wire) == Error::kTooLarge);
  wire.mutable_join()->mutable_joiner()->Clear();
  wire.mutable_join()->mutable_joiner()->mutable_name()->assign(kNodeNameBytesMax + 1, 'x');
  CHECK(refusal(wire) == Error::kTooLarge);
  for (std::size_t i = 0; i <= kRegionCount; ++i) wire.mutable_shard_part()->add_regions();
  CHECK(refusal(wire) == Error::kTooLarge);
  for (std::size_t i = 0; i <= kHoldingsMax; ++i) wire.mutable_gather()->add_held();
  wire.mutable_gather()->mutable_have()->Resize(3, 0);
  CHECK(refusal(wire) == Error::kTooLarge);
  for (std::size_t i = 0; i <= kSealsPerMessageMax; ++i) wire.mutable_gather_seals()->add_seals()->mutable_seal();
  CHECK(refusal(wire) == Error::kTooLarge);
  wire.mutable_inject_request()->mutable_injection()->mutable_args()->assign(257, 'x');
  CHECK(refusal(wire) == Error::kTooLarge);
  wire.mutable_decided()->mutable_view()->assign(1u << 20, 'x');
  CHECK(refusal(wire) == Error::kTooLarge);
  wire.mutable_scenario_part()->set_hash(std::string(32, 'x'));
  wire.mutable_scenario_part()->set_total_bytes((64u << 20) + 1);
  CHECK(refusal(wire) == Error::kTooLarge);
  auto packet = wire_of(random_envelope(1, 1));
  auto& seal = *packet.mutable_packet_message()->mutable_packet()->mutable_seal();
  while (seal.injections_size() <= static_cast<int>(kInjectionsPerSealMax)) seal.add_injections();
  CHECK(refusal(packet) == Error::kTooLarge);
}

TEST_CASE("codec: a name, an address or a refusal that could do something to a terminal or is not UTF-8 is refused") {
  const auto taken = [](const std::string& name, const std::string& address, const std::string& refusal) {
    Hello hello = some_hello();
    hello.self.name = name;
    hello.self.addresses.push_back(address);
    hello.refusal = refusal;
    Bytes bytes;
    encode_hello(hello, bytes);
    return decode_hello(bytes).ok();
  };
  const auto grant_taken = [](const std::string& refusal) {
    LinkGrant grant;
    grant.refusal = refusal;
    Bytes bytes;
    encode_link_grant(grant, bytes);
    return decode_link_grant(bytes).ok();
  };
  const std::string good = "k\xC3\xBC""che", address = "10.0.0.7:7400";
  CHECK(taken(good, address, good));
  CHECK(grant_taken(good));
  for (const std::string bad : {"\x1B[31m", "two\nlines", "\xFF", "k\xC3"}) {
    CAPTURE(bad);
    CHECK_FALSE(taken(bad, address, ""));
    CHECK_FALSE(taken(good, bad, ""));
    CHECK_FALSE(taken(good, address, bad));
    CHECK_FALSE(grant_taken(bad));
    CHECK_FALSE(decode_envelope(encode_envelope(envelope_of(Join{.joiner = {{42}, 7, bad, {address}}}))));
    AddressUpdate update;
    update.node = {42};
    update.version = {7, 1};
    update.addresses = {bad};
    CHECK_FALSE(decode_address_update(encode_address_update(update)));
  }
}

TEST_CASE("codec: a refusal that is too long is cut at the end of a character, and taken") {
  for (std::size_t before = 0; before < 3; ++before) {
    CAPTURE(before);
    Hello hello = some_hello();
    hello.refusal.assign(before, 'x');
    while (hello.refusal.size() <= kRefusalBytesMax) hello.refusal += "\xE2\x86\x92";
    Bytes bytes;
    encode_hello(hello, bytes);
    const auto decoded = decode_hello(bytes);
    REQUIRE(decoded);
    CHECK(decoded->refusal.size() > kRefusalBytesMax - 3);
    CHECK(hello.refusal.starts_with(decoded->refusal));
  }
}

TEST_CASE("codec: the largest view fits") {
  View view;
  for (std::uint64_t i = 1; i <= kMembersMax; ++i) {
    Member member{{i}, ~0ull, std::string(kNodeNameBytesMax, 'n'), {}};
    member.addresses.assign(kAddressesMax, std::string(kAddressBytesMax, 'a'));
    view.members.push_back(member);
  }
  view.voters = {{1}, {2}, {3}, {4}, {5}};
  view.hosts = {{{1}, {2}, {3}}};
  Decided decided;
  encode_view(view, decided.view);
  CHECK(decode_envelope(encode_envelope(envelope_of(decided))));
}

TEST_CASE("codec: a message that would cost much more memory than it has bytes is refused unparsed") {
  Bytes bomb = {std::byte{0x7A}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}};
  const std::uint32_t size = (8u << 20);  // field 15, GatherRegions; then that many bytes of empty regions
  for (int i = 0; i < 4; ++i) {
    bomb[1 + i] = static_cast<std::byte>((size >> (7 * i) & 0x7F) | (i < 3 ? 0x80 : 0));
  }
  for (std::uint32_t i = 0; i < size / 2; ++i) {
    bomb.push_back(std::byte{0x2A});
    bomb.push_back(std::byte{0});
  }
  CHECK(decode_envelope(bomb).error() == Error::kTooLarge);
  CHECK(decode_envelope(Bytes(kMessageBytesMax + 1)).error() == Error::kTooLarge);
}

TEST_CASE("codec: fields of a later version are ignored") {
  const Envelope envelope = random_envelope(0, 3);
  Bytes bytes = encode_envelope(envelope);
  for (unsigned byte : {0xC2, 0x3E, 0x03, 0x6E, 0x65, 0x77, 0xC8, 0x3E, 0x07}) {  // fields 1000, 1001
    bytes.push_back(static_cast<std::byte>(byte));
  }
  const auto decoded = decode_envelope(bytes);
  REQUIRE(decoded);
  CHECK(dump(*decoded) == dump(envelope));
}

TEST_CASE("codec: truncated and damaged messages are errors or other messages, never a crash") {
  for (std::size_t kind = 0; kind < kKindCount; ++kind) {
    CAPTURE(kind);
    const Bytes bytes = encode_envelope(random_envelope(kind, 5));
    Random random(kind + 1);
    for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 500) {
      static_cast<void>(decode_envelope(std::span(bytes).first(size)));
    }
    for (int i = 0; i < 500; ++i) {
      Bytes damaged = bytes;
      const int flips = 1 + static_cast<int>(random.below(4));
      for (int flip = 0; flip < flips; ++flip) {
        const auto bit = random.below(static_cast<std::uint32_t>(damaged.size() * 8));
        damaged[bit / 8] ^= std::byte{1} << (bit % 8);
      }
      const auto decoded = decode_envelope(damaged);
      if (!decoded) continue;
      const Bytes encoded = encode_envelope(*decoded);
      const auto again = decode_envelope(encoded);
      REQUIRE(again);
      CHECK(dump(*again) == dump(*decoded));
    }
  }
}

TEST_CASE("codec: a sight of a lattice comes back as libprotobuf has it; other sizes, tori and frames are refused") {
  LatticeSight sight{{2}, 77, Bytes(kSightBytes)};
  for (std::size_t i = 0; i < kSightBytes; ++i) sight.levels[i] = static_cast<std::byte>(i * 7);
  for (const LatticeSight& each : {sight, LatticeSight{{1}, 0, {}}, LatticeSight{{0}, 0, {}}}) {  // the last is the magic alone
    const Bytes bytes = encode_lattice_sight(each);
    CHECK(bytes.size() <= kSightFrameBytesMax);
    CHECK(is_lattice_sight(bytes));
    CHECK_FALSE(is_hello(bytes));
    CHECK_FALSE(decode_envelope(bytes));
    const auto decoded = decode_lattice_sight(bytes);
    REQUIRE(decoded);
    CHECK(decoded->torus == each.torus);
    CHECK(decoded->corrective == each.corrective);
    CHECK(decoded->levels == each.levels);
    v1::LatticeSight wire;
    REQUIRE(wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    wire.DiscardUnknownFields();
    CHECK(bytes_of(wire) == bytes);
    wire.mutable_levels()->push_back('x');
    CHECK_FALSE(decode_lattice_sight(bytes_of(wire)));
    wire.clear_levels();
    wire.set_torus(3);
    CHECK(decode_lattice_sight(bytes_of(wire)).error() == Error::kWrongTorus);
    wire.set_torus(0);
    wire.set_magic(1);
    CHECK(decode_lattice_sight(bytes_of(wire)).error() == Error::kMalformed);
  }
  CHECK(decode_lattice_sight(Bytes(kSightFrameBytesMax + 1)).error() == Error::kTooLarge);
  CHECK(decode_lattice_sight({}).error() == Error::kMalformed);
  for (std::size_t kind = 0; kind < kKindCount; ++kind) CHECK_FALSE(is_lattice_sight(encode_envelope(random_envelope(kind, 1))));
}

TEST_CASE("codec: an update of addresses comes back as libprotobuf has it; one without node, number or signature, or with too many is refused") {
  AddressUpdate update{.node = {7}, .version = {3, 2}, .addresses = {"udp:198.51.100.9:4000", "[2001:db8::7]:7400"}};
  update.signature[0] = 1, update.signature[63] = 2;
  const Bytes bytes = encode_address_update(update);
  CHECK(is_address_update(bytes));
  CHECK_FALSE(is_incident_report(bytes));
  CHECK_FALSE(decode_envelope(bytes));
  const auto decoded = decode_address_update(bytes);
  REQUIRE(decoded);
  CHECK(decoded->node == update.node);
  CHECK(decoded->version == update.version);
  CHECK(decoded->addresses == update.addresses);
  CHECK(decoded->signature == update.signature);
  v1::AddressUpdate wire;
  REQUIRE(wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  wire.DiscardUnknownFields();
  CHECK(bytes_of(wire) == bytes);
  const auto refused = [&](const auto& change, Error cause) {
    v1::AddressUpdate changed = wire;
    change(changed);
    const auto result = decode_address_update(bytes_of(changed));
    return !result && result.error() == cause;
  };
  CHECK(refused([](auto& to) { to.set_node(0); }, Error::kMalformed));
  CHECK(refused([](auto& to) { to.set_number(0); }, Error::kMalformed));
  CHECK(refused([](auto& to) { to.set_magic(1); }, Error::kMalformed));
  CHECK(refused([](auto& to) { to.clear_signature(); }, Error::kMalformed));
  CHECK(refused([](auto& to) { to.set_signature("short"); }, Error::kMalformed));
  CHECK(refused([](auto& to) { to.add_addresses(std::string(kAddressBytesMax + 1, 'x')); }, Error::kTooLarge));
  CHECK(refused([](auto& to) { for (int i = 0; i < 7; ++i) to.add_addresses("a:1"); }, Error::kTooLarge));
  AddressUpdate most{.node = {7}, .version = {~0ull, ~0ull}, .addresses = std::vector<std::string>(kAddressesMax, std::string(kAddressBytesMax, 'x'))};
  CHECK(decode_address_update(encode_address_update(most)));
}

TEST_CASE("codec: a report of an incident comes back as libprotobuf has it; a kind, torus, age or text that nobody says is refused") {
  const IncidentReport whole{2, milliseconds(3), NodeId{7}, TorusId{0}, Epoch{9}, "b has died"};
  const IncidentReport least{kIncidentFirstEpoch, {}, {}, {}, {}, ""};
  for (const IncidentReport& each : {whole, least}) {
    const Bytes bytes = encode_incident_report(each);
    CHECK(is_incident_report(bytes));
    CHECK_FALSE(is_lattice_sight(bytes));
    CHECK_FALSE(decode_envelope(bytes));
    const auto decoded = decode_incident_report(bytes);
    REQUIRE(decoded);
    CHECK(decoded->kind == each.kind);
    CHECK(decoded->age == each.age);
    CHECK(decoded->node == each.node);
    CHECK(decoded->torus == each.torus);
    CHECK(decoded->epoch == each.epoch);
    CHECK(decoded->text == each.text);
    v1::IncidentReport wire;
    REQUIRE(wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    wire.DiscardUnknownFields();
    CHECK(bytes_of(wire) == bytes);
  }
  const auto refused = [&](const auto& change, Error cause) {
    v1::IncidentReport wire;
    const Bytes bytes = encode_incident_report(whole);
    REQUIRE(wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    change(wire);
    const auto decoded = decode_incident_report(bytes_of(wire));
    return !decoded && decoded.error() == cause;
  };
  CHECK(refused([](auto& wire) { wire.set_kind(50); }, Error::kMalformed));
  CHECK(refused([](auto& wire) { wire.set_torus(3); }, Error::kWrongTorus));
  CHECK(refused([](auto& wire) { wire.set_age_nanoseconds(kReportAgeMax.raw + 1); }, Error::kMalformed));
  CHECK(refused([](auto& wire) { wire.set_text("\x1B[2J"); }, Error::kMalformed));
  CHECK(refused([](auto& wire) { wire.set_text(std::string(kReportTextBytesMax + 1, 'x')); }, Error::kTooLarge));
  CHECK(refused([](auto& wire) { wire.set_magic(1); }, Error::kMalformed));
  IncidentReport long_one = whole;
  long_one.age = {kReportAgeMax.raw * 2};
  long_one.text = std::string(kReportTextBytesMax - 1, 'x') + "\xC3\xBC";
  const auto cut = decode_incident_report(encode_incident_report(long_one));
  REQUIRE(cut);
  CHECK(cut->text == std::string(kReportTextBytesMax - 1, 'x'));
  CHECK(cut->age == kReportAgeMax);
  CHECK(decode_incident_report(Bytes(kReportFrameBytesMax + 1)).error() == Error::kTooLarge);
  CHECK(decode_incident_report({}).error() == Error::kMalformed);
}

TEST_CASE("codec: hello comes back, and nothing else passes for one") {
  Bytes bytes;
  encode_hello(some_hello(), bytes);
  const auto decoded = decode_hello(bytes);
  REQUIRE(decoded);
  CHECK(decoded->self == some_hello().self);
  CHECK(decoded->cluster == some_hello().cluster);
  CHECK(decoded->protocol_min == kProtocolMin);
  CHECK(decoded->protocol_max == kProtocolMax);
  v1::Hello wire;
  REQUIRE(wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  wire.DiscardUnknownFields();
  CHECK(bytes_of(wire) == bytes);
  CHECK(decode_hello({}).error() == Error::kMalformed);
  CHECK(decode_hello(Bytes(kHelloBytesMax + 1)).error() == Error::kTooLarge);
  CHECK_FALSE(decode_hello(encode_envelope(random_envelope(0, 1))));
  Hello nobody = some_hello();
  nobody.self.node = {0};
  Bytes other;
  encode_hello(nobody, other);
  CHECK(decode_hello(other).error() == Error::kMalformed);
  Hello inverted = some_hello();
  inverted.protocol_min = 5;
  other.clear();
  encode_hello(inverted, other);
  CHECK(decode_hello(other).error() == Error::kMalformed);
}
