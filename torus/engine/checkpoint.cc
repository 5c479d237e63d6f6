#include "torus/engine/checkpoint.h"

#include <algorithm>
#include <bitset>
#include <cstring>
#include <utility>

namespace rse {
namespace {

constexpr std::uint32_t kHeadMagic = 0x31485452;
constexpr std::uint32_t kRegionMagic = 0x31525452;
constexpr std::size_t kProcessBytesMin = 1 + 8 + 8 + 4 + 4;
constexpr std::size_t kTickBytesMin = 8 + 4 + 8;
constexpr std::uint32_t kDegreeMax = kGlobalCellCount;

bool is_sorted_by_time(const TimedEvent& a, const TimedEvent& b) {
  return a.time != b.time ? a.time < b.time : a.event < b.event;
}

std::uint32_t first_cell_of(std::size_t region) {
  return static_cast<std::uint32_t>(region * kRegionCells);
}

Error error_of(const ByteReader& reader) {
  return reader.ok() ? Error::kMalformed : Error::kTruncated;
}

/// Most regions have neither edges nor limits nor processes; whatever a cell has shows in its word.
bool has_bare_cells(const Engine& engine, std::size_t region) {
  const Cell* const cells = engine.lattice.cells() + first_cell_of(region);
  std::uint32_t any = 0;
  for (std::uint32_t i = 0; i < kRegionCells; ++i) {
    any |= cells[i].word.target | cells[i].word.delay;
  }
  return any == 0;
}

void encode_limits(const Engine& engine, std::size_t region, ByteWriter& writer) {
  const std::uint32_t first = first_cell_of(region);
  std::uint16_t count = 0;
  for (std::uint32_t i = 0; i < kRegionCells; ++i)
    count += engine.lattice.cell(first + i).has_limit();
  writer.put(count);
  for (std::uint32_t i = 0; i < kRegionCells; ++i) {
    const auto limit = engine.lattice.limit(first + i);
    if (!limit) continue;
    writer.put(static_cast<std::uint8_t>(i));
    writer.put(*limit);
  }
}

Result<void> decode_limits(Engine& engine, std::size_t region, ByteReader& reader) {
  const auto count = reader.get<std::uint16_t>();
  int previous = -1;
  for (std::uint16_t i = 0; i < count; ++i) {
    const int cell = reader.get<std::uint8_t>();
    const auto limit = reader.get<std::int32_t>();
    if (!reader.ok() || cell <= previous) return error_of(reader);
    previous = cell;
    engine.lattice.set_limit(first_cell_of(region) + static_cast<std::uint32_t>(cell), limit);
  }
  return {};
}

void encode_edges(Engine& engine, std::size_t region, ByteWriter& writer) {
  const std::uint32_t first = first_cell_of(region);
  std::uint16_t cells = 0;
  for (std::uint32_t i = 0; i < kRegionCells; ++i)
    cells += !engine.lattice.edges(first + i).empty();
  writer.put(cells);
  for (std::uint32_t i = 0; i < kRegionCells; ++i) {
    const std::span<const Edge> edges = engine.lattice.edges(first + i);
    if (edges.empty()) continue;
    writer.put(static_cast<std::uint8_t>(i));
    writer.put(static_cast<std::uint32_t>(edges.size()));
    writer.put_bytes(
        std::as_bytes(edges));  // target, delay: 8 bytes without padding, as the format says
  }
}

Result<void> decode_edges(Engine& engine, std::size_t region, ByteReader& reader) {
  const auto cells = reader.get<std::uint16_t>();
  if (cells == 0) return {};
  std::bitset<kGlobalCellCount> targets;
  int previous = -1;
  for (std::uint16_t i = 0; i < cells; ++i) {
    const int cell = reader.get<std::uint8_t>();
    const std::uint32_t count = reader.get_count(sizeof(Edge));
    if (!reader.ok() || cell <= previous || count == 0 || count > kDegreeMax) {
      return error_of(reader);
    }
    previous = cell;
    if (count > engine.limits.edges - engine.lattice.edge_count()) return Error::kEdgesFull;
    const std::uint32_t index = first_cell_of(region) + static_cast<std::uint32_t>(cell);
    for (Edge& edge : engine.lattice.add_edges(index, count)) {
      edge.target = reader.get<std::uint32_t>();
      edge.delay = reader.get<std::uint32_t>();
      if (edge.target >= kGlobalCellCount || edge.delay == 0 || targets[edge.target]) {
        return Error::kMalformed;
      }
      targets[edge.target] = true;
    }
    for (const Edge& edge : engine.lattice.edges(index)) targets[edge.target] = false;
  }
  return {};
}

void encode_processes(const Engine& engine, std::size_t region, ByteWriter& writer, Bytes& out) {
  const std::size_t count_at = out.size();
  std::uint32_t count = 0;
  writer.put(count);
  for (std::uint32_t i = 0; i < kRegionCells; ++i) {
    std::uint32_t handle = engine.processes.first(first_cell_of(region) + i);
    for (; handle != 0; handle = engine.processes.at(handle).next) {
      const Process& process = engine.processes.at(handle);
      const std::string_view name = engine.processes.program(process).name();
      writer.put(static_cast<std::uint8_t>(i));
      writer.put(process.pid);
      writer.put(process.random);
      writer.put_sized(std::as_bytes(std::span(name)));
      writer.put_sized(engine.processes.state(process));
      ++count;
    }
  }
  std::memcpy(out.data() + count_at, &count, sizeof(count));
}

Result<void> decode_process(Engine& engine, std::size_t region, ByteReader& reader,
                            std::pair<int, std::uint64_t>& previous) {
  const int cell = reader.get<std::uint8_t>();
  const auto pid = reader.get<std::uint64_t>();
  const auto random = reader.get<std::uint64_t>();
  const auto name = reader.get_sized(kProgramNameBytesMax);
  const auto state = reader.get_sized(kProgramStateBytesMax);
  const std::pair<int, std::uint64_t> place{cell, pid};
  const std::uint64_t pid_torus = pid >> kPidTorusShift;
  const std::uint64_t pid_count = pid & kPidCountMax;
  if (!reader.ok() || pid_count == 0 || pid_torus >= kTorusCount || place <= previous) {
    return error_of(reader);
  }
  if (pid_torus == engine.id.raw && pid_count >= engine.next_pid_count) return Error::kMalformed;
  previous = place;
  std::uint32_t program = 0;
  for (; program < all_programs().size(); ++program) {
    if (std::ranges::equal(std::as_bytes(std::span(all_programs()[program]->name())), name)) break;
  }
  if (program == all_programs().size()) return Error::kUnknownProgram;
  if (state.size() != all_programs()[program]->state_bytes()) return Error::kMalformed;
  if (engine.processes.count() >= engine.limits.processes) return Error::kProcessesFull;
  const std::uint32_t index = first_cell_of(region) + static_cast<std::uint32_t>(cell);
  Process& process = engine.processes.at(engine.processes.add(index, Pid{pid}, program));
  process.random = random;
  std::ranges::copy(state, engine.processes.state(process).begin());
  engine.lattice.set_has_processes(index, true);
  return {};
}

Result<void> decode_processes(Engine& engine, std::size_t region, ByteReader& reader) {
  const std::uint32_t count = reader.get_count(kProcessBytesMin);
  std::pair<int, std::uint64_t> previous{-1, 0};
  for (std::uint32_t i = 0; i < count; ++i) {
    RSE_CHECK(decode_process(engine, region, reader, previous));
  }
  return {};
}

void encode_pending(std::span<const TimedEvent> events, ByteWriter& writer) {
  std::uint32_t ticks = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    ticks += i == 0 || events[i].time != events[i - 1].time;
  }
  writer.put(ticks);
  for (std::size_t begin = 0; begin < events.size();) {
    std::size_t end = begin + 1;
    while (end < events.size() && events[end].time == events[begin].time) ++end;
    writer.put(events[begin].time);
    writer.put(static_cast<std::uint32_t>(end - begin));
    for (; begin < end; ++begin) writer.put(events[begin].event);
  }
}

Result<void> decode_pending(Engine& engine, std::size_t region, ByteReader& reader) {
  const std::uint32_t ticks = reader.get_count(kTickBytesMin);
  std::uint64_t previous_time = 0;
  for (std::uint32_t tick = 0; tick < ticks; ++tick) {
    const auto time = reader.get<std::uint64_t>();
    const std::uint32_t count = reader.get_count(sizeof(PackedEvent));
    if (!reader.ok() || count == 0 || (tick != 0 && time <= previous_time)) return error_of(reader);
    previous_time = time;
    if (count > engine.limits.events - engine.pending_count) return Error::kQueueFull;
    PackedEvent previous = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto event = reader.get<PackedEvent>();
      if (event < previous || packed_source(event) >= kGlobalCellCount ||
          packed_destination(event) >> kRegionCellBits != region) {
        return Error::kMalformed;
      }
      previous = event;
      engine.pending.insert(time, event);
      ++engine.pending_count;
    }
  }
  return {};
}

}  // namespace

void PendingSnapshot::take(Engine& engine) {
  if (taken_) return;
  events_ = engine.snapshot_events;
  starts_.fill(0);
  engine.pending.for_each([&](std::uint64_t, const PackedEvent* events, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      ++starts_[(packed_destination(events[i]) >> kRegionCellBits) + 1];
    }
  });
  for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
  auto next = starts_;
  engine.pending.for_each([&](std::uint64_t time, const PackedEvent* events, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      events_[next[packed_destination(events[i]) >> kRegionCellBits]++] = {time, events[i]};
    }
  });
  sorted_.fill(false);
  taken_ = true;
}

std::span<const TimedEvent> PendingSnapshot::region(std::size_t region) const {
  const std::span<TimedEvent> events(events_ + starts_[region], events_ + starts_[region + 1]);
  if (!sorted_[region]) std::sort(events.begin(), events.end(), is_sorted_by_time);
  sorted_[region] = true;
  return events;
}

void encode_region(Engine& engine, const PendingSnapshot& snapshot, std::size_t region,
                   Bytes& out) {
  ByteWriter writer(out);
  writer.put(kRegionMagic);
  writer.put(engine.id);
  writer.put(static_cast<std::uint8_t>(region));
  if (has_bare_cells(engine, region)) {
    writer.put(std::uint16_t{0});  // limits
    writer.put(std::uint16_t{0});  // cells with edges
    writer.put(std::uint32_t{0});  // processes
  } else {
    encode_limits(engine, region, writer);
    encode_edges(engine, region, writer);
    encode_processes(engine, region, writer, out);
  }
  encode_pending(snapshot.region(region), writer);
}

Result<void> decode_region(Engine& engine, std::size_t region, std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint32_t>();
  const auto torus = reader.get<TorusId>();
  const auto number = reader.get<std::uint8_t>();
  if (!reader.ok()) return Error::kTruncated;
  if (magic != kRegionMagic) return Error::kUnknownVersion;
  if (torus != engine.id) return Error::kWrongTorus;
  if (number != region || engine.region_read[region] != 0) return Error::kMalformed;
  engine.region_read[region] = 1;
  RSE_CHECK(decode_limits(engine, region, reader));
  RSE_CHECK(decode_edges(engine, region, reader));
  RSE_CHECK(decode_processes(engine, region, reader));
  RSE_CHECK(decode_pending(engine, region, reader));
  engine.changed[region] = 1;
  if (!reader.finished()) return error_of(reader);
  return {};
}

void encode_head(const Engine& engine, Bytes& out) {
  ByteWriter writer(out);
  const TorusCounters& counters = engine.counters;
  writer.put(kHeadMagic);
  writer.put(engine.id);
  writer.put(engine.limits.events);
  writer.put(engine.limits.edges);
  writer.put(engine.limits.processes);
  writer.put(engine.limits.outbox_events);
  writer.put(counters.events);
  writer.put(counters.corrective);
  writer.put(counters.refused);
  for (const std::uint64_t sent : counters.sent) writer.put(sent);
  for (const std::uint64_t received : counters.received) writer.put(received);
  writer.put(counters.processes_born);
  writer.put(counters.processes_ended);
  writer.put(counters.outputs);
  writer.put(engine.digest);
  writer.put(engine.next_pid_count);
  const std::uint64_t in_ring = std::min<std::uint64_t>(counters.outputs, kOutputsMax);
  for (std::uint64_t number = counters.outputs - in_ring; number < counters.outputs; ++number) {
    const Output& output = engine.output_ring[number % kOutputsMax];
    writer.put(output.time);
    writer.put(output.cell);
    writer.put(output.value);
  }
}

Result<void> decode_head(Engine& engine, std::span<const std::byte> bytes) {
  RSE_ASSERT(engine.pending_count == 0 && engine.lattice.edge_count() == 0 &&
                 engine.processes.count() == 0,
             "a checkpoint is read into a torus just reset");
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint32_t>();
  const auto torus = reader.get<TorusId>();
  if (!reader.ok()) return Error::kTruncated;
  if (magic != kHeadMagic) return Error::kUnknownVersion;
  if (torus != engine.id) return Error::kWrongTorus;
  Capacity limits;
  limits.events = reader.get<std::uint32_t>();
  limits.edges = reader.get<std::uint32_t>();
  limits.processes = reader.get<std::uint32_t>();
  limits.outbox_events = reader.get<std::uint32_t>();
  const Capacity& reserved = engine.reserved;
  if (limits.events > reserved.events || limits.edges > reserved.edges ||
      limits.processes > reserved.processes || limits.outbox_events > reserved.outbox_events) {
    return Error::kTooLarge;
  }
  TorusCounters counters;
  counters.events = reader.get<std::uint64_t>();
  counters.corrective = reader.get<std::uint64_t>();
  counters.refused = reader.get<std::uint64_t>();
  for (std::uint64_t& sent : counters.sent) sent = reader.get<std::uint64_t>();
  for (std::uint64_t& received : counters.received) received = reader.get<std::uint64_t>();
  counters.processes_born = reader.get<std::uint64_t>();
  counters.processes_ended = reader.get<std::uint64_t>();
  counters.outputs = reader.get<std::uint64_t>();
  const auto digest = reader.get<std::uint64_t>();
  const auto next_pid_count = reader.get<std::uint64_t>();
  if (!reader.ok() || next_pid_count == 0 || next_pid_count > kPidCountMax + 1) {
    return error_of(reader);
  }
  const std::uint64_t in_ring = std::min<std::uint64_t>(counters.outputs, kOutputsMax);
  for (std::uint64_t number = counters.outputs - in_ring; number < counters.outputs; ++number) {
    Output output{number, reader.get<Tick>(), reader.get<CellId>(), reader.get<std::int64_t>()};
    if (!reader.ok() || !engine.is_local(output.cell.raw)) return error_of(reader);
    engine.output_ring[number % kOutputsMax] = output;
  }
  if (!reader.finished()) return error_of(reader);
  engine.limits = limits;
  engine.counters = counters;
  engine.digest = digest;
  engine.next_pid_count = next_pid_count;
  return {};
}

}  // namespace rse
