// Writes what the fuzzers of binary formats begin with: make_corpus DIRECTORY makes DIRECTORY/NAME_fuzz/... A few of each kind,
// as small as they get; libFuzzer finds the rest. Keys and salts are random: what it writes differs from run to run.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "torus/base/random.h"
#include "torus/braid/torus_machine.h"
#include "torus/braid/view.h"
#include "transport/beacon/beacon.h"
#include "transport/codec/codec.h"
#include "transport/codec/random_message.h"
#include "transport/secure/channel.h"
#include "transport/udp/datagram_link.h"
#include "transport/udp/outer.h"

namespace {

using namespace rse;

class Corpus {
 public:
  explicit Corpus(std::filesystem::path root) : root_(std::move(root)) {}
  void put(const std::string& fuzzer, const std::string& name, const Bytes& bytes) const {
    std::filesystem::create_directories(root_ / fuzzer);
    std::ofstream file(root_ / fuzzer / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  void put(const std::string& fuzzer, const std::string& name, std::uint8_t first, Bytes bytes) const {
    bytes.insert(bytes.begin(), static_cast<std::byte>(first));
    put(fuzzer, name, bytes);
  }

 private:
  std::filesystem::path root_;
};

void messages(const Corpus& corpus) {
  for (std::size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    Bytes least;
    for (std::uint64_t seed = 1; seed <= 64; ++seed) {
      Bytes bytes = encode_envelope(testing::random_envelope(static_cast<std::uint32_t>(kind), seed));
      if (least.empty() || bytes.size() < least.size()) least = std::move(bytes);
    }
    if (least.size() <= 1024) corpus.put("codec_fuzz", "message" + std::to_string(kind), least);
  }
  Hello hello;
  hello.self = {NodeId{7}, 3, "name", {"10.0.0.7:7400"}};
  Bytes bytes;
  encode_hello(hello, bytes);
  corpus.put("codec_fuzz", "hello", bytes);
  corpus.put("codec_fuzz", "report", encode_incident_report({2, milliseconds(3), NodeId{7}, TorusId{1}, Epoch{9}, "b has died"}));
  corpus.put("codec_fuzz", "addresses", encode_address_update({{7}, {3, 2}, {"udp:198.51.100.9:4000", "10.0.0.7:7400"}, {}}));
  corpus.put("codec_fuzz", "sight_question", encode_lattice_sight({{1}, 0, {}}));
}

void tori(const Corpus& corpus) {
  Scenario scenario;
  scenario.epoch_ticks = 20;
  scenario.edges = {{CellId{0}, CellId{1}, 3}, {CellId{1}, CellId{0}, 4}};
  scenario.relays = {{CellId{2}, 5}};
  scenario.processes = {{CellId{3}, "phold", "max_delay=9"}, {CellId{3}, "counter", ""}};
  scenario.injections = {{Tick{1}, CellId{0}, CellId{0}, 4}};
  corpus.put("scenario_fuzz", "small", encode_scenario(scenario));
  TorusMachine machine(TorusId{0}, {.events = 256, .edges = 256, .processes = 32, .outbox_events = 64});
  if (!machine.load(RunId{1}, scenario)) return;
  machine.run_epoch(nullptr, nullptr);
  Injection injection;
  injection.client = ClientId{4};
  injection.sequence = 1;
  Seal seal;
  seal.injections.push_back(injection);
  Bytes packet, sealed, projection, view;
  encode_packet(machine.seal(seal), packet);
  corpus.put("packet_fuzz", "packet", 0, packet);
  encode_seal(seal, sealed);
  corpus.put("packet_fuzz", "seal", 1, sealed);
  View first;
  first.cluster = ClusterId{1};
  first.number = first.run_since = ViewNumber{1};
  first.members = {{NodeId{7}, 1, "a", {"10.0.0.7:7400"}}};
  first.voters = first.holders = {NodeId{7}};
  first.hosts.fill(NodeId{7});
  first.homes.fill(NodeId{7});
  first.holders_needed = 1;
  encode_view(first, view);
  corpus.put("packet_fuzz", "view", 3, view);
  Bytes cells, head;
  machine.write_region(0, cells);
  machine.write_region(kHeadRegion, head);
  corpus.put("checkpoint_fuzz", "cells", 0, cells);
  corpus.put("checkpoint_fuzz", "head", 255, head);
}

void links(const Corpus& corpus) {
  const auto book = std::make_shared<TrustBook>(NodeKey::generate());
  SecureChannel one(NoiseRole::kInitiator, book, "a:1");
  SecureChannel two(NoiseRole::kResponder, book, "b:1");
  Bytes first, reply;
  one.start(first);
  corpus.put("secure_fuzz", "first", 0, first);
  two.on_handshake(first, 0, reply);
  corpus.put("secure_fuzz", "reply", 1, reply);
  Ticket ticket;
  ticket.id = 9;
  ticket.addresses = {"10.0.0.1:7400"};
  const std::string text = ticket_text(ticket);
  const auto as_bytes = std::as_bytes(std::span(text));
  corpus.put("secure_fuzz", "ticket", 3, Bytes(as_bytes.begin(), as_bytes.end()));
  Bytes change;
  encode_trust_change({.kind = TrustChange::Kind{1}, .now = 5, .ticket = {}, .forget = {}}, change);
  corpus.put("secure_fuzz", "change", 4, change);
  Bytes packet(100);
  PacketWriter frames(packet);
  AckFrame ack;
  ack.stream_limit = 1u << 20;
  ack.interval_count = 1;
  ack.intervals[0] = {0, 2};
  put_ack(frames, ack);
  put_ping(frames);
  put_stream_header(frames, 0, 5);
  frames.put(std::uint32_t{1});  // the size of a message, and its byte
  frames.put(std::uint8_t{8});
  packet.resize(frames.size());
  corpus.put("udp_fuzz", "packet", static_cast<std::uint8_t>(packet.size()), packet);
  const Bytes some(48, std::byte{9});
  for (const auto type : {OuterType::kInit, OuterType::kRetry, OuterType::kAccept, OuterType::kFinish}) {
    const bool asks = type == OuterType::kInit, retries = type == OuterType::kRetry, ends = type == OuterType::kFinish;
    corpus.put("udp_outer_fuzz", "handshake_" + std::to_string(static_cast<unsigned>(type)),
               handshake_datagram({.type = type, .to = asks ? 0ul : 5ul, .from = retries || ends ? 0ul : 7ul,
                                   .message = retries ? std::span<const std::byte>() : std::span<const std::byte>(some)}));
  }
  Bytes record(kOuterHeaderBytes + 32);
  write_record_header(record.data(), {5, 9});
  corpus.put("udp_outer_fuzz", "record", record);
  corpus.put("storage_fuzz", "patch", 3, {std::byte{1}, std::byte{0}, std::byte{32}, std::byte{1}});
}

/// Of the cluster that the fuzzer believes in.
void beacons(const Corpus& corpus) {
  SecretKey seed;
  seed.bytes.fill(3);
  TrustBook book{NodeKey(seed)};
  book.trust.seed = seed.bytes;
  corpus.put("beacon_fuzz", "beacon",
             write_beacon({.protocol_min = 1, .protocol_max = 1, .cluster = {7}, .node = {5}, .time = 1'800'000'000, .nonce = 1,
                           .addresses = {"10.0.0.7:7400", "udp:[fd00::7]:7400"}},
                          book));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("make_corpus DIRECTORY: writes the corpora of the fuzzers of binary formats there\n", stderr);
    return 2;
  }
  const Corpus corpus(argv[1]);
  messages(corpus);
  beacons(corpus);
  tori(corpus);
  links(corpus);
  return 0;
}
