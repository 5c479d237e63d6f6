#include "node/client_trace.h"

#include <fmt/format.h>

#include <algorithm>

#include "node/client_words.h"

namespace rse {
namespace {

constexpr std::uint64_t kDelay = 2;  // epochs from sending or sealing to delivery

std::string two(const std::array<std::uint64_t, 2>& counts, TorusId torus, const char* word) {
  return fmt::format("{} {} {}, {} {} {}", counts[0], word, letter_of(next_torus(torus)), counts[1], word, letter_of(previous_torus(torus)));
}

}  // namespace

EpochTrace Tracer::take(Epoch epoch, const LocalRun::EpochPackets& packets) {
  EpochTrace trace;
  trace.epoch = epoch.raw;
  while (!past_.empty() && past_.front().epoch + kDelay < epoch.raw) past_.pop_front();
  const EpochTrace* before = !past_.empty() && past_.front().epoch + kDelay == epoch.raw ? &past_.front() : nullptr;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    const Packet& packet = *packets[torus];
    TorusTrace& to = trace.tori[torus];
    if (before != nullptr) {
      to.received = {before->tori[next_torus({torus}).raw].sent[1], before->tori[previous_torus({torus}).raw].sent[0]};
      to.injected = before->tori[torus].sealed;
    }
    to.events = packet.projection.load;
    to.violations = packet.projection.violations;
    to.sent = {packet.batch_to_next.size(), packet.batch_to_previous.size()};
    to.sealed = packet.seal.injections.size();
    to.pending = packet.projection.pending;
    to.refused = packet.projection.refused;
    to.processes = packet.projection.processes;
    to.event_digest = packet.projection.event_digest;
    to.end_tick = packet.projection.end_tick.raw;
    to.next_epoch = packet.next_epoch.raw;
    to.quiet = packet.projection.quiet;
  }
  past_.push_back(trace);
  return trace;
}

std::string trace_text(const EpochTrace& trace) {
  std::string out = fmt::format("epoch {}, to tick {}\n", trace.epoch, trace.tori[0].end_tick);
  for (std::uint8_t i = 0; i < kTorusCount; ++i) {
    const TorusTrace& torus = trace.tori[i];
    out += fmt::format("  {}  received  {}{}\n", letter_of({i}), two(torus.received, {i}, "from"),
                       torus.injected > 0 ? fmt::format(", {} injected", torus.injected) : "");
    out += fmt::format("     ran       {} events, {} violations; {} pending, {} processes, {} refused; digest {}\n", torus.events, torus.violations,
                       torus.pending, torus.processes, torus.refused, hex16(torus.event_digest));
    out += fmt::format("     sent      {}\n", two(torus.sent, {i}, "to"));
    out += fmt::format("     decided   {}{}next epoch {}\n", torus.sealed > 0 ? fmt::format("{} injections for epoch {}, ", torus.sealed, trace.epoch + kDelay) : "",
                       torus.quiet ? "quiet, " : "", torus.next_epoch);
  }
  return out;
}

std::string trace_json(const EpochTrace& trace) {
  std::string out = fmt::format(R"({{"epoch":{},"tori":[)", trace.epoch);
  for (std::uint8_t i = 0; i < kTorusCount; ++i) {
    const TorusTrace& torus = trace.tori[i];
    out += fmt::format(
        R"({}{{"torus":"{}","received":{{"{}":{},"{}":{}}},"injected":{},"events":{},"violations":{},"sent":{{"{}":{},"{}":{}}},"sealed":{},"pending":{},"refused":{},"processes":{},"event_digest":"{}","end_tick":{},"next_epoch":{},"quiet":{}}})",
        i == 0 ? "" : ",", letter_of({i}), letter_of(next_torus({i})), torus.received[0], letter_of(previous_torus({i})), torus.received[1],
        torus.injected, torus.events, torus.violations, letter_of(next_torus({i})), torus.sent[0], letter_of(previous_torus({i})), torus.sent[1],
        torus.sealed, torus.pending, torus.refused, torus.processes, hex16(torus.event_digest), torus.end_tick, torus.next_epoch, torus.quiet);
  }
  return out + "]}";
}

std::optional<std::string> find_event(const EventFilter& filter, const LocalRun::EpochPackets& packets) {
  for (const Packet* packet : packets) {
    for (const Injection& injection : packet->seal.injections) {
      if (injection.kind != Injection::Kind::kEvent || !filter.matches(injection.dst, injection.src, injection.payload)) continue;
      return fmt::format("epoch {}: injection into {} with payload {} is sealed, and delivered in epoch {}", packet->epoch.raw,
                         cell_text(injection.dst), injection.payload, packet->epoch.raw + kDelay);
    }
    for (const std::vector<Event>* batch : {&packet->batch_to_next, &packet->batch_to_previous}) {
      for (const Event& event : *batch) {
        if (!filter.matches(event.dst, event.src, event.payload)) continue;
        return fmt::format("epoch {}: {} sends {} an event for tick {} with payload {}, delivered in epoch {}", packet->epoch.raw,
                           cell_text(event.src), cell_text(event.dst), event.time.raw, event.payload, packet->epoch.raw + kDelay);
      }
    }
  }
  return std::nullopt;
}

}  // namespace rse
