// Listening, and which request goes where. What each request does: control_reading.cc, control_changing.cc, control_trust.cc.
#include "node/control_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/post.hpp>
#include <cstring>

#include "node/control_address.h"
#include "node/control_fill.h"
#include "node/control_session.h"

namespace rse {

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
  if (history_) history_->stop();
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
  if (history_) {
    v1::IncidentRecord record;
    fill(incident, record);
    history_->note(std::move(record));
  }
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
    case Case::kCells: cells(reply, request.cells()); break;
    case Case::kOutputs: return outputs(session, request.id(), request.outputs());
    case Case::kState: return state(session, request.id(), request.state());
    case Case::kVerify: verify(reply, request.verify()); break;
    case Case::kKillNode: kill_node(reply, request.kill_node()); break;
    case Case::kBench: return bench(session, request.id(), request.bench());
    case Case::kOverride: override_majority(reply, request.override()); break;
    case Case::kTicketCreate: return ticket_create(session, request.id(), request.ticket_create());
    case Case::kTicketList: ticket_list(reply); break;
    case Case::kTicketRevoke: return ticket_revoke(session, request.id(), request.ticket_revoke());
    case Case::kForget: return forget(session, request.id(), request.forget());
    case Case::kHistory: return history(session, request.id(), request.history());
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

}  // namespace rse
