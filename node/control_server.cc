#include "node/control_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstring>
#include <deque>
#include <fstream>

#include "node/control_address.h"

namespace rse {
namespace {

constexpr std::size_t kReadStepBytes = 256u << 10;
constexpr std::size_t kIncidentsInStatus = 32;
constexpr std::size_t kVerifyPageEpochs = 8192;
constexpr std::size_t kPsCountMax = 1u << 17;
constexpr std::uint64_t kBenchNanosecondsMax = 60'000'000'000;

void set_error(v1::ControlReply& reply, v1::ControlError::Code code, std::string text) {
  reply.mutable_error()->set_code(code);
  reply.mutable_error()->set_text(std::move(text));
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t process_cpu_nanoseconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(used.tv_nsec);
}

template <class F>
void for_each_address(const std::vector<std::string>& addresses, F add) {
  for (const std::string& address : addresses) add(address);
}

void fill(const LinkStats& stats, v1::LinkStatus& out) {
  out.set_peer(stats.peer.raw);
  out.set_transport(stats.transport);
  out.set_address(stats.address);
  out.set_connected(stats.connected);
  out.set_bytes_sent(stats.bytes_sent);
  out.set_bytes_received(stats.bytes_received);
  out.set_messages_sent(stats.messages_sent);
  out.set_messages_received(stats.messages_received);
  out.set_messages_dropped(stats.messages_dropped);
  out.set_reconnects(stats.reconnects);
  out.set_queued_bytes(stats.queued_bytes);
}

void fill(const View& view, v1::ViewInfo& out) {
  out.set_cluster(view.cluster.raw);
  out.set_number(view.number.raw);
  out.set_run(view.run.raw);
  for (const Member& member : view.members) {
    v1::ViewMember& to = *out.add_members();
    to.set_node(member.node.raw);
    to.set_incarnation(member.incarnation);
    to.set_name(member.name);
    for_each_address(member.addresses, [&](const std::string& address) { to.add_addresses(address); });
  }
  for (const NodeId voter : view.voters) out.add_voters(voter.raw);
  for (const NodeId host : view.hosts) out.add_hosts(host.raw);
  for (const NodeId home : view.homes) out.add_homes(home.raw);
  for (const ViewNumber since : view.hosted_since) out.add_hosted_since(since.raw);
  out.set_resume_cut(view.resume_cut);
  out.set_resumed(view.resumed.raw);
  for (const NodeId holder : view.holders) out.add_holders(holder.raw);
  out.set_holders_needed(view.holders_needed);
}

void fill(TorusId id, const TorusStatus& torus, v1::TorusStatus& out) {
  out.set_torus(id.raw);
  out.set_host(torus.host.raw);
  out.set_epoch(torus.epoch.raw);
  out.set_end_tick(torus.end_tick.raw);
  out.set_events(torus.events);
  out.set_pending(torus.pending);
  out.set_refused(torus.refused);
  out.set_processes(torus.processes);
  out.set_event_digest(torus.event_digest);
  out.set_cut_durable(torus.cut_durable);
  out.set_hosted_here(torus.hosted_here);
  out.set_running(torus.running);
  out.set_progress(torus.progress);
}

void fill(const PeerStatus& peer, v1::PeerStatus& out) {
  out.set_node(peer.node.raw);
  out.set_name(peer.name);
  out.set_member(peer.member);
  out.set_voter(peer.voter);
  out.set_linked(peer.linked);
  out.set_suspected(peer.suspected);
  out.set_silence_nanoseconds(peer.silence.raw);
  out.set_via(peer.via.raw);
}

void fill(const Incident& incident, v1::IncidentRecord& out) {
  out.set_kind(static_cast<v1::IncidentRecord::Kind>(incident.kind));
  out.set_at_nanoseconds(incident.at.raw);
  out.set_unix_nanoseconds(incident.unix_nanoseconds);
  out.set_node(incident.node.raw);
  if (incident.torus) out.set_torus(incident.torus->raw);
  out.set_epoch(incident.epoch.raw);
  out.set_text(incident.text);
}

v1::StatusReply::Health to_proto(Health health) {
  switch (health) {
    case Health::kHealthy: return v1::StatusReply::HEALTHY;
    case Health::kUnprotected: return v1::StatusReply::UNPROTECTED;
    case Health::kRebuilding: return v1::StatusReply::REBUILDING;
    case Health::kStopped: return v1::StatusReply::STOPPED;
    case Health::kJoining: return v1::StatusReply::JOINING;
  }
  return v1::StatusReply::STOPPED;
}

}  // namespace

// --- One client. ---

class ControlServer::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(ControlServer& server, int fd, int family)
      : server_(server), socket_(server.loop_, asio::generic::stream_protocol(family, 0), fd) {}

  void start() { read_size(); }
  void reply(const v1::ControlReply& message) {
    if (closed_) return;
    std::string frame(4, '\0');
    message.AppendToString(&frame);
    const auto size = static_cast<std::uint32_t>(frame.size() - 4);
    std::memcpy(frame.data(), &size, sizeof size);
    queued_bytes_ += frame.size();
    if (queued_bytes_ > kControlQueueBytesMax) return close();  // it does not read
    queue_.push_back(std::move(frame));
    if (queue_.size() == 1) write();
  }
  void close() {
    if (std::exchange(closed_, true)) return;
    std::error_code ignored;
    socket_.close(ignored);
    server_.sessions_.erase(shared_from_this());
  }
  bool watching = false;
  std::uint64_t watch_id = 0;

 private:
  void read_size() {
    asio::async_read(socket_, asio::buffer(&size_, sizeof size_),
                     [self = shared_from_this()](const std::error_code& error, std::size_t) {
                       if (error || self->size_ > kControlBytesMax) return self->close();
                       self->body_.clear();
                       self->read_body();
                     });
  }
  /// In steps, so that a size alone allocates nothing.
  void read_body() {
    const std::size_t had = body_.size();
    if (had == size_) return handle();
    body_.resize(had + std::min<std::size_t>(kReadStepBytes, size_ - had));
    asio::async_read(socket_, asio::buffer(body_.data() + had, body_.size() - had),
                     [self = shared_from_this()](const std::error_code& error, std::size_t) {
                       if (error) return self->close();
                       self->read_body();
                     });
  }
  void handle() {
    v1::ControlRequest request;
    const bool parsed = request.ParseFromArray(body_.data(), static_cast<int>(body_.size()));
    body_ = {};
    if (!parsed) return close();
    server_.handle(shared_from_this(), request);
    if (!closed_) read_size();
  }
  void write() {
    asio::async_write(socket_, asio::buffer(queue_.front()),
                      [self = shared_from_this()](const std::error_code& error, std::size_t) {
                        if (self->closed_) return;
                        if (error) return self->close();
                        self->queued_bytes_ -= self->queue_.front().size();
                        self->queue_.pop_front();
                        if (!self->queue_.empty()) self->write();
                      });
  }

  ControlServer& server_;
  Socket socket_;
  std::uint32_t size_ = 0;
  std::string body_;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  bool closed_ = false;
};

ControlServer::ControlServer(asio::io_context& loop, NodeShell& shell, std::string version,
                             std::function<void()> on_stop)
    : loop_(loop), shell_(shell), version_(std::move(version)), on_stop_(std::move(on_stop)), kill_timer_(loop) {}

ControlServer::~ControlServer() { stop(); }

std::string ControlServer::listen(const std::string& where) {
  std::string failure;
  const std::optional<ControlAddress> address = parse_control_address(where, failure);
  if (!address) return failure;
  if (address->family != AF_UNIX && !address->is_loopback())
    return "cannot offer the control API on " + where +
           ": whoever reaches it controls the node; use a path or a loopback address";
  if (address->family == AF_UNIX && address->connects())
    return "cannot offer the control API at " + where + ": another process does; use another --control";
  if (address->family == AF_UNIX) ::unlink(where.c_str());
  listener_ = ::socket(address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  if (address->family != AF_UNIX) ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const mode_t mask = ::umask(0177);
  const bool bound = listener_ >= 0 && ::bind(listener_, address->sockaddr_of(), address->size) == 0;
  const int cause = errno;
  ::umask(mask);
  if (!bound || ::listen(listener_, 16) != 0)
    return "cannot offer the control API at " + where + ": " + std::strerror(bound ? errno : cause) +
           "; use another --control";
  if (address->family == AF_UNIX) socket_path_ = where;
  acceptor_ = std::make_unique<asio::posix::stream_descriptor>(loop_, listener_);
  accept();
  return {};
}

void ControlServer::accept() {
  acceptor_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& error) {
    if (error || !acceptor_) return;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      sockaddr_storage name{};
      socklen_t size = sizeof name;
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
      if (sessions_.size() >= kControlClientsMax) {
        ::close(fd);  // bounded; the asker sees a closed connection and may come again
      } else {
        const auto session = std::make_shared<Session>(*this, fd, name.ss_family);
        sessions_.insert(session);
        session->start();
      }
    }
    accept();
  });
}

void ControlServer::stop() {
  kill_timer_.cancel();
  const auto sessions = std::exchange(sessions_, {});
  for (const auto& session : sessions) session->close();
  if (acceptor_) {
    std::error_code ignored;
    acceptor_->close(ignored);
    acceptor_.reset();
  }
  if (!socket_path_.empty()) ::unlink(std::exchange(socket_path_, {}).c_str());
}

void ControlServer::on_incident(const Incident& incident) {
  for (const auto& session : sessions_) {
    if (!session->watching) continue;
    v1::ControlReply reply;
    reply.set_id(session->watch_id);
    fill(incident, *reply.mutable_incident());
    asio::post(loop_, [session, reply = std::move(reply)] { session->reply(reply); });
  }
}

void ControlServer::handle(const std::shared_ptr<Session>& session, const v1::ControlRequest& request) {
  v1::ControlReply reply;
  reply.set_id(request.id());
  using Case = v1::ControlRequest::RequestCase;
  if (request.version() != kControlVersion) {
    set_error(reply, v1::ControlError::BAD_REQUEST,
              fmt::format("this node speaks control version {}, you {}; use the rse of version {}", kControlVersion,
                          request.version(), version_));
    return session->reply(reply);
  }
  switch (request.request_case()) {
    case Case::kStatus: status(*reply.mutable_status()); break;
    case Case::kLoad: load(reply, request.load()); break;
    case Case::kInject:
    case Case::kSpawn: return inject(session, request);
    case Case::kPs: return ps(session, request.id(), request.ps());
    case Case::kOutputs: return outputs(session, request.id(), request.outputs());
    case Case::kState: return state(session, request.id(), request.state());
    case Case::kVerify: verify(reply, request.verify()); break;
    case Case::kKillNode: kill_node(reply, request.kill_node()); break;
    case Case::kBench: return bench(session, request.id(), request.bench());
    case Case::kOverride: override_majority(reply, request.override()); break;
    case Case::kStop:
      reply.mutable_done();
      session->reply(reply);
      asio::post(loop_, on_stop_);
      return;
    case Case::kWatch:
      session->watching = true;
      session->watch_id = request.id();
      return;
    case Case::kScenario:
      reply.mutable_scenario()->set_run(shell_.view().run.raw);
      if (const Bytes* scenario = shell_.scenario())
        reply.mutable_scenario()->set_scenario(scenario->data(), scenario->size());
      break;
    case Case::kMigrate:
      set_error(reply, v1::ControlError::NOT_SUPPORTED, "moving a torus by hand comes with a later version");
      break;
    case Case::REQUEST_NOT_SET:
      set_error(reply, v1::ControlError::BAD_REQUEST, "a request of a kind that this node does not know");
      break;
  }
  session->reply(reply);
}

void ControlServer::status(v1::StatusReply& reply) {
  const BraidStatus status = shell_.status();
  reply.set_health(to_proto(status.health));
  reply.set_verdict(status.verdict);
  fill(status.view, *reply.mutable_view());
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus)
    fill(TorusId{torus}, status.tori[torus], *reply.add_tori());
  for (const PeerStatus& peer : status.peers) fill(peer, *reply.add_peers());
  for (const LinkStats& link : shell_.links()) fill(link, *reply.add_links());
  v1::NodeInfo& self = *reply.mutable_self();
  self.set_node(shell_.self().node.raw);
  self.set_incarnation(shell_.self().incarnation);
  self.set_name(shell_.self().name);
  for_each_address(shell_.self().addresses, [&](const std::string& address) { self.add_addresses(address); });
  self.set_cluster(shell_.cluster().raw);
  self.set_data_directory(shell_.data_directory());
  self.set_version(version_);
  self.set_uptime_nanoseconds(elapsed(started_, monotonic_now()).raw);
  self.set_resident_bytes(resident_bytes());
  self.set_process_id(static_cast<std::uint32_t>(::getpid()));
  self.set_torus_events(shell_.capacity().events);
  self.set_torus_edges(shell_.capacity().edges);
  self.set_torus_processes(shell_.capacity().processes);
  self.set_torus_outbox_events(shell_.capacity().outbox_events);
  reply.set_messages_refused(status.messages_refused);
  reply.set_retained_bytes(status.retained_bytes);
  const auto& incidents = shell_.incidents();
  const std::size_t first = incidents.size() > kIncidentsInStatus ? incidents.size() - kIncidentsInStatus : 0;
  for (std::size_t i = first; i < incidents.size(); ++i) fill(incidents[i], *reply.add_incidents());
  reply.set_scenario_hash(status.view.scenario.bytes.data(), status.view.scenario.bytes.size());
}

void ControlServer::load(v1::ControlReply& reply, const v1::LoadRequest& request) {
  const auto bytes = std::as_bytes(std::span(request.scenario()));
  if (Result<void> loaded = shell_.load(bytes); !loaded)
    return set_error(reply, v1::ControlError::REFUSED,
                     fmt::format("the scenario was not loaded: {}; the run goes on as it was", to_string(loaded.error())));
  const Digest256 hash = digest_of(bytes);
  reply.mutable_load()->set_scenario_hash(hash.bytes.data(), hash.bytes.size());
  if (shell_.view().scenario == hash) reply.mutable_load()->set_run(shell_.view().run.raw);
}

void ControlServer::inject(const std::shared_ptr<Session>& session, const v1::ControlRequest& request) {
  v1::ControlReply reply;
  reply.set_id(request.id());
  const auto refuse = [&](v1::ControlError::Code code, std::string text) {
    set_error(reply, code, std::move(text));
    session->reply(reply);
  };
  Injection injection;
  std::uint32_t torus = 0;
  if (request.request_case() == v1::ControlRequest::kInject) {
    const v1::ControlInjectRequest& asked = request.inject();
    torus = asked.torus();
    injection.client = {asked.client()};
    injection.sequence = asked.sequence();
    injection.dst = {asked.dst()};
    injection.src = {asked.has_src() ? asked.src() : asked.dst()};
    injection.payload = asked.payload();
    if (injection.src.raw >= kTorusCount * kCellCount)
      return refuse(v1::ControlError::BAD_REQUEST, "the source is no cell of torus A, B or C");
  } else {
    const v1::SpawnRequest& asked = request.spawn();
    torus = asked.torus();
    injection.kind = Injection::Kind::kSpawn;
    injection.client = {asked.client()};
    injection.sequence = asked.sequence();
    injection.dst = {asked.cell()};
    injection.src = injection.dst;
    if (asked.program().size() > kProgramNameBytesMax || asked.args().size() > kProgramArgsBytesMax)
      return refuse(v1::ControlError::BAD_REQUEST, fmt::format("a program's name has at most {} bytes, its arguments {}",
                                                               kProgramNameBytesMax, kProgramArgsBytesMax));
    injection.program = asked.program();
    injection.args = asked.args();
  }
  if (torus >= kTorusCount || injection.dst.raw >= kTorusCount * kCellCount || torus_of(injection.dst).raw != torus)
    return refuse(v1::ControlError::BAD_REQUEST, "the destination is no cell of the torus named; tori are A, B and C");
  const Instant asked_at = monotonic_now();
  const bool taken = shell_.inject(
      TorusId{static_cast<std::uint8_t>(torus)}, std::move(injection),
      [session, asked_at, id = request.id()](const InjectAnswer& answer) {
        v1::ControlReply given;
        given.set_id(id);
        given.mutable_inject()->set_status(static_cast<v1::ControlInjectReply::Status>(answer.status));
        given.mutable_inject()->set_sealed_in(answer.sealed_in.raw);
        given.mutable_inject()->set_latency_nanoseconds(elapsed(asked_at, monotonic_now()).raw);
        session->reply(given);
      });
  if (!taken) refuse(v1::ControlError::NOT_READY, "too many requests wait for an answer; ask again later");
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

void ControlServer::outputs(const std::shared_ptr<Session>& session, std::uint64_t id,
                            const v1::OutputsRequest& request) {
  if (request.torus() >= kTorusCount) {
    v1::ControlReply reply;
    reply.set_id(id);
    set_error(reply, v1::ControlError::BAD_REQUEST, "tori are A, B and C");
    return session->reply(reply);
  }
  const TorusId torus{static_cast<std::uint8_t>(request.torus())};
  shell_.read_machine(torus, [session, id, torus, from = request.from_number()](const TorusMachine* machine) {
    v1::ControlReply reply;
    reply.set_id(id);
    if (machine == nullptr) {
      set_error(reply, v1::ControlError::REFUSED,
                fmt::format("torus {} does not run on this node now; ask its host", letter_of(torus)));
      return session->reply(reply);
    }
    v1::OutputsReply& out = *reply.mutable_outputs();
    const std::vector<Output> outputs = machine->torus().outputs();
    out.set_next_number(machine->torus().counters().outputs);
    if (!outputs.empty() && outputs.front().number > from) out.set_lost_count(outputs.front().number - from);
    for (const Output& output : outputs) {
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
  v1::ControlReply bad;
  bad.set_id(id);
  if (torus.raw >= kTorusCount) {
    set_error(bad, v1::ControlError::BAD_REQUEST, "tori are A, B and C");
    return session->reply(bad);
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

void ControlServer::kill_node(v1::ControlReply& reply, const v1::KillNodeRequest& request) {
  if (request.node() != 0 && request.node() != shell_.self().node.raw)
    return set_error(reply, v1::ControlError::REFUSED,
                     fmt::format("this is node {}, not the one named; nothing was killed", shell_.self().name));
  if (request.delay_nanoseconds() == 0) ::kill(::getpid(), SIGKILL);
  kill_timer_.expires_after(std::chrono::nanoseconds(request.delay_nanoseconds()));
  kill_timer_.async_wait([](const std::error_code& error) {
    if (!error) ::kill(::getpid(), SIGKILL);
  });
  reply.mutable_done()->set_text(fmt::format("node {} kills itself", shell_.self().name));
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

void ControlServer::override_majority(v1::ControlReply& reply, const v1::OverrideRequest& request) {
  const std::string cluster = fmt::format("{:016x}", shell_.cluster().raw);
  if (request.confirmation() != cluster)
    return set_error(reply, v1::ControlError::REFUSED,
                     fmt::format("nothing was done: confirm with --cluster {}. Only when the missing voters will never "
                                 "return: if they run somewhere, their work is lost",
                                 cluster));
  if (Result<void> done = shell_.override_majority(); !done)
    return set_error(reply, v1::ControlError::REFUSED,
                     fmt::format("nothing was done: {}; an override needs the voters' majority to be gone and every torus "
                                 "to be put together from the nodes that are left",
                                 to_string(done.error())));
  reply.mutable_done()->set_text("the voters that are not heard have been given up");
}

}  // namespace rse
