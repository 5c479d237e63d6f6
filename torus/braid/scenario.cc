// The canonical bytes of a scenario: magic, version, parameters, then the lists in their order (little-endian, counts
// and sizes u32). The order of entries is part of a scenario: edges are created, and processes numbered, in it.
#include "torus/braid/scenario.h"

#include "torus/engine/program.h"

namespace rse {
namespace {

constexpr std::uint32_t kScenarioMagic = 0x31435352;  // "RSC1": the version is the last letter
constexpr std::uint32_t kGlobalCellCount = kTorusCount * kCellCount;
constexpr std::size_t kRelayBytes = 4 + 1 + 4;
constexpr std::size_t kEdgeBytes = 4 + 4 + 4;
constexpr std::size_t kProcessBytesMin = 4 + 4 + 4;
constexpr std::size_t kEventBytes = 8 + 4 + 4 + 4;

void put_text(ByteWriter& writer, const std::string& text) {
  writer.put_sized(std::as_bytes(std::span(text)));
}

std::string get_text(ByteReader& reader, std::size_t size_max) {
  const auto bytes = reader.get_sized(size_max);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

CellId get_cell(ByteReader& reader) {
  const auto cell = reader.get<CellId>();
  if (cell.raw >= kGlobalCellCount) reader.fail();
  return cell;
}

bool get_bool(ByteReader& reader) {
  const auto value = reader.get<std::uint8_t>();
  if (value > 1) reader.fail();
  return value == 1;
}

void decode_relays(ByteReader& reader, Scenario& scenario) {
  const std::uint32_t count = reader.get_count(kRelayBytes);
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    Scenario::Relay relay{get_cell(reader), std::nullopt};
    const bool has_limit = get_bool(reader);
    const auto limit = reader.get<std::int32_t>();
    if (has_limit) relay.max_payload = limit;
    if (!has_limit && limit != 0) reader.fail();
    scenario.relays.push_back(relay);
  }
}

/// False: a delay of zero.
bool decode_edges(ByteReader& reader, Scenario& scenario) {
  const std::uint32_t count = reader.get_count(kEdgeBytes);
  scenario.edges.reserve(count);
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const CellId from = get_cell(reader);
    const CellId to = get_cell(reader);
    scenario.edges.push_back({from, to, reader.get<std::uint32_t>()});
    if (reader.ok() && scenario.edges.back().delay == 0) return false;
  }
  return true;
}

void decode_processes(ByteReader& reader, Scenario& scenario) {
  const std::uint32_t count = reader.get_count(kProcessBytesMin);
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const CellId cell = get_cell(reader);
    std::string program = get_text(reader, kProgramNameBytesMax);
    scenario.processes.push_back({cell, std::move(program), get_text(reader, kProgramArgsBytesMax)});
  }
}

void decode_injections(ByteReader& reader, Scenario& scenario) {
  const std::uint32_t count = reader.get_count(kEventBytes);
  scenario.injections.reserve(count);
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const auto time = reader.get<Tick>();
    const CellId dst = get_cell(reader);
    const CellId src = get_cell(reader);
    scenario.injections.push_back({time, dst, src, reader.get<std::int32_t>()});
  }
}

}  // namespace

Bytes encode_scenario(const Scenario& scenario) {
  Bytes out;
  ByteWriter writer(out);
  writer.put(kScenarioMagic);
  writer.put(scenario.epoch_ticks);
  writer.put(static_cast<std::uint8_t>(scenario.adaptive));
  writer.put(static_cast<std::uint8_t>(scenario.boundary_coupling));
  writer.put(scenario.boundary_tolerance);
  writer.put(static_cast<std::uint32_t>(scenario.relays.size()));
  for (const Scenario::Relay& relay : scenario.relays) {
    writer.put(relay.cell);
    writer.put(static_cast<std::uint8_t>(relay.max_payload.has_value()));
    writer.put(relay.max_payload.value_or(0));
  }
  writer.put(static_cast<std::uint32_t>(scenario.edges.size()));
  for (const Scenario::Edge& edge : scenario.edges) {
    writer.put(edge.from);
    writer.put(edge.to);
    writer.put(edge.delay);
  }
  writer.put(static_cast<std::uint32_t>(scenario.processes.size()));
  for (const Scenario::Process& process : scenario.processes) {
    writer.put(process.cell);
    put_text(writer, process.program);
    put_text(writer, process.args);
  }
  writer.put(static_cast<std::uint32_t>(scenario.injections.size()));
  for (const Event& event : scenario.injections) {
    writer.put(event.time);
    writer.put(event.dst);
    writer.put(event.src);
    writer.put(event.payload);
  }
  return out;
}

Result<Scenario> decode_scenario(std::span<const std::byte> bytes) {
  if (bytes.size() > kScenarioBytesMax) return Error::kTooLarge;
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint32_t>();
  if (!reader.ok()) return Error::kTruncated;
  if (magic != kScenarioMagic) return Error::kUnknownVersion;
  Scenario scenario;
  scenario.epoch_ticks = reader.get<std::uint64_t>();
  scenario.adaptive = get_bool(reader);
  scenario.boundary_coupling = get_bool(reader);
  scenario.boundary_tolerance = reader.get<std::uint32_t>();
  if (!reader.ok()) return reader.remaining() == 0 ? Error::kTruncated : Error::kMalformed;
  if (scenario.epoch_ticks == 0) return Error::kMalformed;
  decode_relays(reader, scenario);
  if (!decode_edges(reader, scenario)) return Error::kBadDelay;
  decode_processes(reader, scenario);
  decode_injections(reader, scenario);
  if (!reader.finished()) return Error::kMalformed;
  return scenario;
}

Digest256 scenario_hash(const Scenario& scenario) { return digest_of(encode_scenario(scenario)); }

}  // namespace rse
