#include "node/shell.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "transport/codec/codec.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kHousekeepingInterval{200};
constexpr std::size_t kSendBytesPerTurn = 1u << 20;
constexpr std::int64_t kSuspendNoticed = 1'000'000'000;  // nanoseconds
constexpr const char* kRecordFile = "/record";

spdlog::level::level_enum level_of(BraidEvent::Kind kind) {
  switch (kind) {
    case BraidEvent::Kind::kAlarm: return spdlog::level::err;
    case BraidEvent::Kind::kStopped:
    case BraidEvent::Kind::kPeerLost: return spdlog::level::warn;
    case BraidEvent::Kind::kCutDurable:
    case BraidEvent::Kind::kPeerSuspected:
    case BraidEvent::Kind::kPeerHeardAgain: return spdlog::level::debug;
    default: return spdlog::level::info;
  }
}

Incident incident_of(IncidentReport report, Instant now) {
  return {.kind = report.kind,
          .at = {now.raw - std::min(now.raw, report.age.raw)},
          .node = report.node,
          .torus = report.torus,
          .epoch = report.epoch,
          .text = std::move(report.text)};
}

}  // namespace

NodeShell::NodeShell(asio::io_context& loop, Options options, std::unique_ptr<DataDirectory> directory,
                     Log& log, Hooks hooks)
    : loop_(loop),
      options_(std::move(options)),
      log_(log),
      hooks_(std::move(hooks)),
      directory_(std::move(directory)),
      lattices_(options_.braid.self.node),
      machines_(options_.cut_epochs),
      life_sign_(loop, [this](NodeId peer, std::uint64_t incarnation) { on_death(peer, incarnation); }),
      addresses_(options_.braid.self),
      timer_(loop),
      house_timer_(loop),
      cluster_(options_.cluster),
      suspended_nanoseconds_(clock_nanoseconds(CLOCK_BOOTTIME) - clock_nanoseconds(CLOCK_MONOTONIC)) {}

NodeShell::~NodeShell() { stop(); }

void NodeShell::start() {
  Recovered recovered;
  if (directory_) {
    recovered = directory_->take_recovered();
    const std::string record_path = options_.data_directory + kRecordFile;
    std::ifstream file(record_path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const std::size_t whole = record_.load(std::as_bytes(std::span(bytes)));
    // What a loss of power tore off has to go, or what is appended behind it could not be read.
    if (whole < bytes.size() && ::truncate(record_path.c_str(), static_cast<off_t>(whole)) != 0)
      log_.write(spdlog::level::warn, "record_damaged", {{"file", record_path}});
    disk_ = std::make_unique<DiskWriter>(
        *directory_, record_path, loop_,
        DiskWriter::Callbacks{[this](std::uint64_t token) {
                                if (stopped_) return;
                                braid_->on_persisted(monotonic_now(), token);
                                pump();
                              },
                              [this](const StorageError& error) { on_disk_failed(error); }});
  }
  options_.braid.durable = directory_ != nullptr;
  options_.braid.machines = &machines_;
  braid_ = std::make_unique<BraidNode>(options_.braid, std::move(recovered), monotonic_now());
  workers_ = std::make_unique<Workers>(loop_, [this](const Workers::Done& done) { on_done(done); });
  life_sign_.hold(options_.braid.self.node, options_.braid.self.incarnation);
  if (view().number.raw != 0 && view().trust.open() == encrypted()) {
    throw std::runtime_error(fmt::format("cannot go on with {}: {}", options_.data_directory,
                                         encrypted() ? "it has a key, and its cluster is an open one; start from a backup, or with an empty --data-dir"
                                                     : "its cluster is encrypted and its file key is missing; restore it, or start with an "
                                                       "empty --data-dir and a ticket"));
  }
  transport_ = hooks_.make_transport(make_hello(), make_book(), callbacks());
  view_seen_ = view().number;
  if (encrypted() && options_.beacon) {
    discovery_.emplace(loop_, options_.listen,
                       Discovery::Hooks{[this](const Beacon& beacon) {
                                          log_.write(spdlog::level::info, "member_found",
                                                     {{"peer", name_of(beacon.node)}, {"address", beacon.addresses.front()}});
                                          update_dials();
                                        },
                                        [this](const std::string& why) { on_failure("beacon", why); }});
  }
  watch_addresses();
  update_dials();
  pump();
  keep_house();
}

void NodeShell::stop() {
  if (std::exchange(stopped_, true)) return;
  life_sign_.stop();
  timer_.cancel();
  house_timer_.cancel();
  discovery_.reset();
  if (watch_) watch_->stop();
  if (transport_) transport_->stop();
  if (workers_) workers_->stop();
  if (disk_) {
    flush_record();
    disk_->stop();
  }
  injects_.clear();
  for (auto& reads : reads_) reads.clear();
  for (auto& reads : state_reads_) reads.clear();
}

// --- Inputs. ---

void NodeShell::on_message(NodeId from, std::span<const std::byte> bytes) {
  if (stopped_) return;
  if (is_lattice_sight(bytes)) return on_sight(from, decode_lattice_sight(bytes));
  if (is_incident_report(bytes)) return on_report(from, decode_incident_report(bytes));
  if (is_address_update(bytes)) return on_address_update(from, decode_address_update(bytes));
  Result<Envelope> envelope = decode_envelope(bytes);
  if (!envelope) return refuse(from, envelope.error());
  braid_->on_message(monotonic_now(), from, *envelope);
  pump();
}

void NodeShell::on_sight(NodeId from, Result<LatticeSight> sight) {
  if (!sight) return refuse(from, sight.error());
  if (const auto answer = lattices_.on_sight(monotonic_now(), from, std::move(*sight), view())) send_sight(from, *answer);
}

/// Of members only, and not more than a few failovers in a moment can give reason for.
void NodeShell::on_report(NodeId from, Result<IncidentReport> report) {
  if (!report) return refuse(from, report.error());
  if (view().find(from) == nullptr || ++reports_heard_[from.raw] > kReportsOfPeerMax) return;
  Incident incident = incident_of(std::move(*report), monotonic_now());
  if (!is_of_all(incident.kind)) incident.text = name_of(from) + ": " + incident.text;
  incident.by = from;
  note(std::move(incident));
}

void NodeShell::refuse(NodeId from, Error cause) {
  ++undecodable_count_;
  log_.write(spdlog::level::warn, "message_refused", {{"peer", name_of(from)}, {"cause", to_string(cause)}});
}

void NodeShell::on_done(const Workers::Done& done) {
  if (stopped_) return;
  const std::size_t torus = done.torus.raw;
  // The machine is idle and ours until the braid hears that the work is done.
  const bool ran = done.kind == RunEpoch::Kind::kRun;
  if (ran || done.kind == RunEpoch::Kind::kReplay) {
    for (auto& read : std::exchange(reads_[torus], {})) read.call(done.machine);
  }
  if (done.state) {
    for (auto& read : std::exchange(state_reads_[torus], {})) read.call(&*done.state);
  }
  const Instant now = monotonic_now();
  if (ran) {
    if (hosted_here(done.torus)) lattices_.on_boundary(now, done.machine->torus());
    if (const auto first = first_epochs_.on_epoch(done.torus, self().node, done.machine->next_epoch())) {
      note(incident_of(*first, now));
      tell(*first);
    }
  }
  braid_->on_epoch_done(now, done.torus, done.kind);
  pump();
}

void NodeShell::on_disk_failed(const StorageError& error) {
  if (stopped_) return;
  note({.kind = kIncidentStorageFailure, .at = monotonic_now(), .text = error.text});
  log_.write(spdlog::level::critical, "storage_failure", {{"text", error.text}});
  hooks_.on_fatal(error.text);
}

// --- Outputs. ---

void NodeShell::pump() {
  if (pumping_ || stopped_) return;  // a callback of a send: the loop below goes on with what it caused
  pumping_ = true;
  for (bool more = true; std::exchange(more, false);) {  // an answer's receiver may ask for more at once
    for (; auto sealed = braid_->poll_sealed(); more = true) record_.add(*sealed);
    for (; auto work = braid_->poll_work(); more = true) carry_out(std::move(*work));
    while (sent_in_turn_ < kSendBytesPerTurn) {
      const auto out = braid_->poll_send([this](NodeId hop) { return transport_->has_room(hop); });
      if (!out) break;
      send(*out);
      more = true;
    }
    for (; auto given = braid_->poll_answer(); more = true) answer(*given);
    for (; auto event = braid_->poll_event(); more = true) journal(*event);
  }
  pumping_ = false;
  if (stopped_) return;
  if (std::exchange(sent_in_turn_, 0) >= kSendBytesPerTurn) {
    // Megabytes are on their way: let heartbeats and messages that have come in meanwhile have their turn.
    asio::post(loop_, [this] { pump(); });
  }
  notice_cluster();
  notice_view();
  arm_timer();
}

void NodeShell::carry_out(Work work) {
  if (auto* run = std::get_if<RunEpoch>(&work)) {
    const bool with_state = run->kind == RunEpoch::Kind::kRun && !state_reads_[run->torus.raw].empty();
    workers_->submit(std::move(*run), with_state);
    return;
  }
  RSE_ASSERT(disk_ != nullptr, "a volatile node is given nothing to persist");
  flush_record();  // what is durable from now on has its record before it
  disk_->submit(std::move(std::get<Persist>(work)));
}

void NodeShell::send(const Outgoing& out) {
  const std::vector<SharedBytes> parts = encode_parts(out.envelope);
  std::size_t size = 0;
  for (const SharedBytes& part : parts) size += part.bytes.size();
  sent_in_turn_ += size;
  // A heartbeat that comes late says less than the next one.
  const bool at_once = std::holds_alternative<Heartbeat>(out.envelope.message);
  const SendResult result =
      at_once ? transport_->send_at_once(out.next_hop, parts) : transport_->send_parts(out.next_hop, parts);
  if (result == SendResult::kTooLarge)
    log_.write(spdlog::level::err, "message_too_large",
               {{"peer", name_of(out.next_hop)}, {"size", std::to_string(size)}});
}

/// What is only looked at waits for nothing, and nothing waits for it: without room in the link's queue it is not sent.
void NodeShell::send_sight(NodeId to, const LatticeSight& sight) {
  if (transport_->has_room(to)) static_cast<void>(transport_->send(to, encode_lattice_sight(sight)));
}

void NodeShell::journal(const BraidEvent& event) {
  std::string torus = event.torus ? std::string(1, letter_of(*event.torus)) : "-";
  log_.write(level_of(event.kind), to_string(event.kind),
             {{"peer", event.node.raw == 0 ? "-" : name_of(event.node)},
              {"torus", std::move(torus)},
              {"epoch", std::to_string(event.epoch.raw)},
              {"text", event.text}});
  using Kind = BraidEvent::Kind;
  if (event.kind == Kind::kCutDurable) {
    ++cuts_durable_;
    cut_durable_at_ = event.at;
    return;  // too frequent for a list of incidents
  }
  first_epochs_.on_event(event, event.torus && hosted_here(*event.torus));
  if (event.kind == Kind::kPeerHeardAgain) forget_earlier_suspicion(event.node);
  note({.kind = static_cast<std::uint32_t>(event.kind),
        .at = event.at,
        .node = event.node,
        .torus = event.torus,
        .epoch = event.epoch,
        .text = event.text});
  if (const auto report = report_of(event, monotonic_now())) tell(*report);
}

/// To whom there is a link: a page or an observer there may be all that somebody looks at.
void NodeShell::tell(const IncidentReport& report) {
  const Bytes bytes = encode_incident_report(report);
  for (const Member& member : view().members) {
    if (member.node == self().node || !transport_->has_room(member.node)) continue;
    static_cast<void>(transport_->send(member.node, bytes));
  }
}

/// On a loaded machine there are many that come to nothing, and the list has room for few: the newest of each peer stays.
void NodeShell::forget_earlier_suspicion(NodeId peer) {
  using Kind = BraidEvent::Kind;
  const auto is = [&](const Incident& incident, Kind kind) {
    return incident.by.raw == 0 && incident.node == peer && incident.kind == static_cast<std::uint32_t>(kind);
  };
  std::uint64_t newest = 0;  // the one that has come to nothing just now
  for (const Incident& one : incidents_)
    if (is(one, Kind::kPeerSuspected)) newest = one.number;
  std::erase_if(incidents_, [&](const Incident& one) {
    return one.number != newest && (is(one, Kind::kPeerSuspected) || is(one, Kind::kPeerHeardAgain));
  });
}

void NodeShell::note(Incident incident) {
  incident.number = ++incident_count_;
  incident.unix_nanoseconds =
      static_cast<std::uint64_t>(clock_nanoseconds(CLOCK_REALTIME)) - elapsed(incident.at, monotonic_now()).raw;
  incidents_.push_back(incident);
  if (incidents_.size() > kIncidentsMax) incidents_.pop_front();
  if (hooks_.on_incident) hooks_.on_incident(incident);
}

void NodeShell::arm_timer() {
  const std::optional<Instant> deadline = braid_->next_deadline();
  if (!deadline) return;                        // an early call does nothing, so an armed timer may stay
  if (armed_ && *armed_ <= *deadline) return;   // it will be armed again when it fires early
  armed_ = deadline;
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::nanoseconds(static_cast<std::int64_t>(deadline->raw))));
  timer_.async_wait([this](const std::error_code& error) {
    if (error || stopped_) return;
    armed_.reset();
    braid_->on_deadline(monotonic_now());
    pump();
  });
}

// --- Housekeeping: nothing here is urgent. ---

void NodeShell::keep_house() {
  if (stopped_) return;
  link_history_.note(transport_->stats());
  reports_heard_.clear();
  addresses_.begin_turn();
  discover();
  tell_addresses();
  update_dials();
  flush_record();
  expire_requests();
  const std::int64_t suspended = clock_nanoseconds(CLOCK_BOOTTIME) - clock_nanoseconds(CLOCK_MONOTONIC);
  if (suspended - suspended_nanoseconds_ > kSuspendNoticed)
    log_.write(spdlog::level::warn, "machine_was_suspended",
               {{"seconds", std::to_string((suspended - suspended_nanoseconds_) / 1'000'000'000)}});
  suspended_nanoseconds_ = suspended;
  house_timer_.expires_after(kHousekeepingInterval);
  house_timer_.async_wait([this](const std::error_code& error) {
    if (!error) keep_house();
  });
}

void NodeShell::flush_record() {
  if (!disk_ || !record_.has_unwritten()) {
    bool restart = false;
    if (!disk_) (void)record_.take_unwritten(restart);
    return;
  }
  bool restart = false;
  Bytes bytes = record_.take_unwritten(restart);
  disk_->append_record(std::move(bytes), restart);
}

}  // namespace rse
