// The requests that read: nothing changes by them.
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include "node/control_fill.h"
#include "node/control_session.h"
#include "transport/monotonic_clock.h"

namespace rse {
namespace {

constexpr std::size_t kIncidentsInStatus = 32;
constexpr std::size_t kVerifyPageEpochs = 8192;
constexpr std::size_t kPsCountMax = 1u << 17;
constexpr std::uint64_t kBenchNanosecondsMax = 60'000'000'000;

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t process_cpu_nanoseconds() { return static_cast<std::uint64_t>(clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID)); }

/// For people, who want to know where a member is now.
void show_known_addresses(const NodeShell& shell, v1::ViewMember& out) {
  const Member* member = shell.view().find(NodeId{out.node()});
  if (member == nullptr) return;
  out.clear_addresses();
  for (const std::string& address : shell.addresses_of(*member)) out.add_addresses(address);
}

}  // namespace

void ControlServer::status(v1::StatusReply& reply) {
  const BraidStatus status = shell_.status();
  reply.set_health(to_proto(status.health));
  reply.set_verdict(status.verdict);
  fill(status.view, *reply.mutable_view());
  for (v1::ViewMember& member : *reply.mutable_view()->mutable_members()) show_known_addresses(shell_, member);
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus)
    fill(TorusId{torus}, status.tori[torus], *reply.add_tori());
  for (const PeerStatus& peer : status.peers) fill(peer, *reply.add_peers());
  for (const LinkStats& link : shell_.links()) {
    v1::LinkStatus& out = *reply.add_links();
    fill(link, out);
    const LinkHistory::RoundTrips trips = shell_.round_trips(link);
    out.set_rtt_p50_nanoseconds(trips.p50_nanoseconds);
    out.set_rtt_p99_nanoseconds(trips.p99_nanoseconds);
  }
  v1::NodeInfo& self = *reply.mutable_self();
  self.set_node(shell_.self().node.raw);
  self.set_incarnation(shell_.self().incarnation);
  self.set_name(shell_.self().name);
  for (const std::string& address : shell_.addresses_of(shell_.self())) self.add_addresses(address);
  self.set_cluster(shell_.cluster().raw);
  self.set_encrypted(shell_.encrypted());
  self.set_data_directory(shell_.data_directory());
  self.set_version(version_);
  self.set_uptime_nanoseconds(elapsed(started_, monotonic_now()).raw);
  self.set_resident_bytes(resident_bytes());
  self.set_process_id(static_cast<std::uint32_t>(::getpid()));
  self.set_cpu_nanoseconds(process_cpu_nanoseconds());
  self.set_torus_events(shell_.capacity().events);
  self.set_torus_edges(shell_.capacity().edges);
  self.set_torus_processes(shell_.capacity().processes);
  self.set_torus_outbox_events(shell_.capacity().outbox_events);
  self.set_cut_epochs(shell_.cut_epochs());
  reply.set_messages_refused(status.messages_refused);
  reply.set_retained_bytes(status.retained_bytes);
  if (const auto cut_at = shell_.cut_durable_at()) reply.set_cut_age_nanoseconds(elapsed(*cut_at, monotonic_now()).raw);
  const auto& incidents = shell_.incidents();
  const std::size_t first = incidents.size() > kIncidentsInStatus ? incidents.size() - kIncidentsInStatus : 0;
  for (std::size_t i = first; i < incidents.size(); ++i) fill(incidents[i], *reply.add_incidents());
  reply.set_scenario_hash(status.view.scenario.bytes.data(), status.view.scenario.bytes.size());
}
void ControlServer::ps(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::PsRequest& request) {
  struct Gathering {
    v1::ControlReply reply;
    int outstanding = 0;
    std::size_t count_max = 0;
  };
  const auto gathering = std::make_shared<Gathering>();
  gathering->reply.set_id(id);
  gathering->reply.mutable_ps();
  gathering->count_max = request.count_max() == 0 ? kPsCountMax : std::min<std::size_t>(request.count_max(), kPsCountMax);
  std::vector<TorusId> tori;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    const bool wanted = request.has_torus() ? request.torus() == torus : true;
    if (wanted && shell_.view().hosts[torus] == shell_.self().node) tori.push_back({torus});
  }
  if (request.has_torus() && tori.empty()) {
    set_error(gathering->reply, v1::ControlError::REFUSED, "that torus is not hosted by this node; ask its host");
    return session->reply(gathering->reply);
  }
  gathering->outstanding = static_cast<int>(tori.size());
  if (tori.empty()) return session->reply(gathering->reply);
  for (const TorusId torus : tori) {
    shell_.read_machine(torus, [session, gathering, torus](const TorusMachine* machine) {
      if (machine != nullptr) {
        gathering->reply.mutable_ps()->add_tori(torus.raw);
        machine->torus().visit_processes(
            [](void* context, const ProcessInfo& info) {
              auto& to = *static_cast<Gathering*>(context);
              v1::PsReply& reply = *to.reply.mutable_ps();
              reply.set_count_total(reply.count_total() + 1);
              if (static_cast<std::size_t>(reply.processes_size()) >= to.count_max) return;
              v1::PsReply::Process& process = *reply.add_processes();
              process.set_pid(info.pid.raw);
              process.set_cell(info.cell.raw);
              process.set_program(info.program.data(), info.program.size());
              process.set_value(info.value);
            },
            gathering.get());
      }
      if (--gathering->outstanding == 0) session->reply(gathering->reply);
    });
  }
}

void ControlServer::cells(v1::ControlReply& reply, const v1::CellsRequest& request) {
  if (request.torus() >= kTorusCount) return set_error(reply, v1::ControlError::BAD_REQUEST, "tori are A, B and C");
  const NodeShell::Lattice lattice = shell_.look_at({static_cast<std::uint8_t>(request.torus())});
  if (!lattice.sight)
    return set_error(reply, lattice.waiting ? v1::ControlError::NOT_READY : v1::ControlError::REFUSED, lattice.why);
  std::string levels(kCellCount, '\0');
  for (std::uint32_t cell = 0; cell < kCellCount; ++cell)
    levels[cell] = static_cast<char>(sight_level(*lattice.sight, cell) * (255 / kSightLevelMax));
  reply.mutable_cells()->set_levels(std::move(levels));
  reply.mutable_cells()->set_corrective(lattice.sight->corrective);
}

void ControlServer::outputs(const std::shared_ptr<Session>& session, std::uint64_t id,
                            const v1::OutputsRequest& request) {
  if (request.torus() >= kTorusCount) {
    v1::ControlReply reply;
    reply.set_id(id);
    return session->refuse(reply, v1::ControlError::BAD_REQUEST, "tori are A, B and C");
  }
  const TorusId torus{static_cast<std::uint8_t>(request.torus())};
  shell_.read_machine(torus, [this, session, id, torus, from = request.from_number()](const TorusMachine* machine) {
    v1::ControlReply reply;
    reply.set_id(id);
    if (machine == nullptr)
      return session->refuse(reply, v1::ControlError::REFUSED,
                             fmt::format("torus {} does not run on this node now; ask its host", letter_of(torus)));
    v1::OutputsReply& out = *reply.mutable_outputs();
    const std::vector<Output> outputs = machine->torus().outputs();
    out.set_next_number(machine->torus().counters().outputs);
    const Tick released = shell_.outputs_released(torus);
    if (!outputs.empty() && outputs.front().number > from) out.set_lost_count(outputs.front().number - from);
    for (const Output& output : outputs) {
      if (output.time >= released) {  // a failure might still take it back
        out.set_next_number(output.number);
        break;
      }
      if (output.number < from) continue;
      v1::OutputsReply::Output& to = *out.add_outputs();
      to.set_number(output.number);
      to.set_time(output.time.raw);
      to.set_cell(output.cell.raw);
      to.set_value(output.value);
    }
    session->reply(reply);
  });
}

void ControlServer::state(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::StateRequest& request) {
  const TorusId torus{static_cast<std::uint8_t>(std::min<std::uint32_t>(request.torus(), kTorusCount))};
  if (torus.raw >= kTorusCount) {
    v1::ControlReply reply;
    reply.set_id(id);
    return session->refuse(reply, v1::ControlError::BAD_REQUEST, "tori are A, B and C");
  }
  shell_.read_state(torus, [session, id, torus](const StateDigest* state) {
    v1::ControlReply reply;
    reply.set_id(id);
    if (state == nullptr) {
      set_error(reply, v1::ControlError::REFUSED,
                fmt::format("torus {} does not run on this node now; ask its host", letter_of(torus)));
    } else {
      v1::StateReply& out = *reply.mutable_state();
      out.set_run(state->run.raw);
      out.set_torus(torus.raw);
      out.set_cut(state->cut);
      out.set_state_digest(state->digest.bytes.data(), state->digest.bytes.size());
    }
    session->reply(reply);
  });
}

void ControlServer::verify(v1::ControlReply& reply, const v1::VerifyRequest& request) {
  if (request.torus() >= kTorusCount) return set_error(reply, v1::ControlError::BAD_REQUEST, "tori are A, B and C");
  const std::size_t count = request.epoch_count_max() == 0
                                ? kVerifyPageEpochs
                                : std::min<std::size_t>(request.epoch_count_max(), kVerifyPageEpochs);
  const SealRecord::Page page = shell_.record().page(TorusId{static_cast<std::uint8_t>(request.torus())},
                                                     Epoch{request.from_epoch()}, count);
  v1::VerifyReply& out = *reply.mutable_verify();
  out.set_run(shell_.record().run().raw);
  out.set_torus(request.torus());
  for (const SealRecord::Entry& entry : page.entries) {
    out.add_epochs(entry.epoch.raw);
    out.add_event_digests(entry.event_digest);
    out.add_projections(entry.projection);
  }
  for (const auto& [epoch, seal] : page.seals) {
    v1::VerifyReply::Seal& to = *out.add_seals();
    to.set_epoch(epoch);
    to.set_seal(seal.data(), seal.size());
  }
  out.set_more(page.more);
  out.set_digests_dropped(page.digests_dropped);
  out.set_seals_dropped(page.seals_dropped);
}
struct ControlServer::Bench {
  Instant started;
  std::array<TorusStatus, kTorusCount> tori;
  std::vector<LinkStats> links;
  std::uint64_t cpu = 0;
  std::uint64_t cuts = 0;
  asio::steady_timer timer;
};

void ControlServer::bench(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::BenchRequest& request) {
  const auto before = std::make_shared<Bench>(Bench{monotonic_now(), shell_.status().tori, shell_.links(),
                                                    process_cpu_nanoseconds(), shell_.cuts_durable(),
                                                    asio::steady_timer(loop_)});
  before->timer.expires_after(std::chrono::nanoseconds(std::min(request.nanoseconds(), kBenchNanosecondsMax)));
  before->timer.async_wait([this, before, session, id](const std::error_code& error) {
    if (error || !acceptor_) return;
    v1::ControlReply reply;
    reply.set_id(id);
    v1::BenchReply& out = *reply.mutable_bench();
    out.set_nanoseconds(elapsed(before->started, monotonic_now()).raw);
    const BraidStatus now = shell_.status();
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      v1::BenchReply::Torus& to = *out.add_tori();
      to.set_torus(torus);
      to.set_events(now.tori[torus].events - before->tori[torus].events);
      to.set_epochs(now.tori[torus].epoch.raw - before->tori[torus].epoch.raw);
      to.set_ticks(now.tori[torus].end_tick.raw - before->tori[torus].end_tick.raw);
    }
    for (LinkStats link : shell_.links()) {
      for (const LinkStats& old : before->links) {
        if (old.peer != link.peer) continue;
        link.bytes_sent -= old.bytes_sent;
        link.bytes_received -= old.bytes_received;
        link.messages_sent -= old.messages_sent;
        link.messages_received -= old.messages_received;
        link.messages_dropped -= old.messages_dropped;
        link.reconnects -= old.reconnects;
      }
      fill(link, *out.add_links());
    }
    out.set_cpu_nanoseconds(process_cpu_nanoseconds() - before->cpu);
    out.set_cuts(shell_.cuts_durable() - before->cuts);
    session->reply(reply);
  });
}

}  // namespace rse
