// The requests that change something: the run, the node, the cluster.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "node/control_fill.h"
#include "node/control_session.h"

namespace rse {

void ControlServer::load(v1::ControlReply& reply, const v1::LoadRequest& request) {
  const auto bytes = std::as_bytes(std::span(request.scenario()));
  if (Result<void> loaded = shell_.load(bytes); !loaded)
    return set_error(reply, v1::ControlError::REFUSED,
                     fmt::format("the scenario was not loaded: {}; the run goes on as it was",
                                 to_string(loaded.error())));
  const Digest256 hash = digest_of(bytes);
  reply.mutable_load()->set_scenario_hash(hash.bytes.data(), hash.bytes.size());
  if (shell_.view().scenario == hash) reply.mutable_load()->set_run(shell_.view().run.raw);
}
void ControlServer::inject(const std::shared_ptr<Session>& session,
                           const v1::ControlRequest& request) {
  v1::ControlReply reply;
  reply.set_id(request.id());
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
      return session->refuse(reply, v1::ControlError::BAD_REQUEST,
                             "the source is no cell of torus A, B or C");
  } else {
    const v1::SpawnRequest& asked = request.spawn();
    torus = asked.torus();
    injection.kind = Injection::Kind::kSpawn;
    injection.client = {asked.client()};
    injection.sequence = asked.sequence();
    injection.dst = {asked.cell()};
    injection.src = injection.dst;
    if (asked.program().size() > kProgramNameBytesMax || asked.args().size() > kProgramArgsBytesMax)
      return session->refuse(reply, v1::ControlError::BAD_REQUEST,
                             fmt::format("a program's name has at most {} bytes, its arguments {}",
                                         kProgramNameBytesMax, kProgramArgsBytesMax));
    injection.program = asked.program();
    injection.args = asked.args();
  }
  if (torus >= kTorusCount || injection.dst.raw >= kTorusCount * kCellCount ||
      torus_of(injection.dst).raw != torus)
    return session->refuse(reply, v1::ControlError::BAD_REQUEST,
                           "the destination is no cell of the torus named; tori are A, B and C");
  const Instant asked_at = monotonic_now();
  const bool taken = shell_.inject(
      TorusId{static_cast<std::uint8_t>(torus)}, std::move(injection),
      [session, asked_at, id = request.id()](const InjectAnswer& answer) {
        v1::ControlReply given;
        given.set_id(id);
        given.mutable_inject()->set_status(
            static_cast<v1::ControlInjectReply::Status>(answer.status));
        given.mutable_inject()->set_sealed_in(answer.sealed_in.raw);
        given.mutable_inject()->set_latency_nanoseconds(elapsed(asked_at, monotonic_now()).raw);
        session->reply(given);
      });
  if (!taken)
    session->refuse(reply, v1::ControlError::NOT_READY,
                    "too many requests wait for an answer; ask again later");
}
void ControlServer::kill_node(v1::ControlReply& reply, const v1::KillNodeRequest& request) {
  if (request.node() != 0 && request.node() != shell_.self().node.raw)
    return set_error(
        reply, v1::ControlError::REFUSED,
        fmt::format("this is node {}, not the one named; nothing was killed", shell_.self().name));
  if (request.delay_nanoseconds() == 0) ::kill(::getpid(), SIGKILL);
  kill_timer_.expires_after(std::chrono::nanoseconds(request.delay_nanoseconds()));
  kill_timer_.async_wait([](const std::error_code& error) {
    if (!error) ::kill(::getpid(), SIGKILL);
  });
  reply.mutable_done()->set_text(fmt::format("node {} kills itself", shell_.self().name));
}
void ControlServer::override_majority(v1::ControlReply& reply, const v1::OverrideRequest& request) {
  const std::string cluster = fmt::format("{:016x}", shell_.cluster().raw);
  if (request.confirmation() != cluster)
    return set_error(
        reply, v1::ControlError::REFUSED,
        fmt::format(
            "nothing was done: confirm with --cluster {}. Only when the missing voters will never "
            "return: if they run somewhere, their work is lost",
            cluster));
  if (Result<void> done = shell_.override_majority(); !done)
    return set_error(reply, v1::ControlError::REFUSED,
                     fmt::format("nothing was done: {}; an override needs the voters' majority to "
                                 "be gone and every torus "
                                 "to be put together from the nodes that are left",
                                 to_string(done.error())));
  reply.mutable_done()->set_text("the voters that are not heard have been given up");
}

}  // namespace rse
