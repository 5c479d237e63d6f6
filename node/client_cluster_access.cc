#include "node/client_cluster_access.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <thread>

#include "node/client_status.h"
#include "torus/base/digest.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kRetryInterval{20};
constexpr std::chrono::milliseconds kAttemptLimit{5000};

bool worth_repeating(const ControlFailure& failure) {
  return failure.exit_code == kExitUnreachable || failure.code == v1::ControlError::NOT_READY ||
         failure.code == v1::ControlError::TIMEOUT;
}

}  // namespace

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0)
    if (::getrandom(&id, sizeof id, 0) != sizeof id) id = 0;
  return id;
}

std::unique_ptr<ControlClient> connect_to_host(TorusId torus, const std::vector<std::string>& given,
                                               ControlFailure& failure) {
  std::string host;
  bool reached = false;
  for (const std::string& where : control_candidates(given)) {
    auto client = ControlClient::connect(where, failure);
    if (!client) continue;
    const std::optional<v1::StatusReply> status = ask_status(*client, failure);
    if (!status || status->view().hosts_size() <= torus.raw) continue;
    reached = true;
    if (status->view().hosts(torus.raw) == status->self().node()) return client;
    host = node_name(*status, status->view().hosts(torus.raw));
  }
  if (reached)
    failure = {kExitFailed, fmt::format("torus {} is hosted by node {}, whose control API is not within reach; run rse on "
                                        "that machine, or name its address with --control",
                                        letter_of(torus), host)};
  else if (failure.text.empty())
    connect_to_any(given, failure);  // for its sentence
  return nullptr;
}

Requester::Requester(std::vector<std::string> given, std::chrono::seconds limit)
    : given_(std::move(given)), limit_(limit), client_id_(random_id()) {}

std::optional<Requester::Answer> Requester::inject(CellId dst, std::optional<CellId> src, std::int32_t payload,
                                                   ControlFailure& failure) {
  v1::ControlRequest request;
  v1::ControlInjectRequest& inject = *request.mutable_inject();
  inject.set_torus(torus_of(dst).raw);
  inject.set_client(client_id_);
  inject.set_sequence(++sequence_);
  inject.set_dst(dst.raw);
  if (src) inject.set_src(src->raw);
  inject.set_payload(payload);
  return repeat(request, failure);
}

std::optional<Requester::Answer> Requester::spawn(CellId cell, const std::string& program, const std::string& args,
                                                  ControlFailure& failure) {
  v1::ControlRequest request;
  v1::SpawnRequest& spawn = *request.mutable_spawn();
  spawn.set_torus(torus_of(cell).raw);
  spawn.set_client(client_id_);
  spawn.set_sequence(++sequence_);
  spawn.set_cell(cell.raw);
  spawn.set_program(program);
  spawn.set_args(args);
  return repeat(request, failure);
}

std::optional<Requester::Answer> Requester::repeat(v1::ControlRequest& request, ControlFailure& failure) {
  const auto end = std::chrono::steady_clock::now() + limit_;
  for (int attempts = 1;; ++attempts) {
    if (!client_) {
      const std::vector<std::string> candidates = control_candidates(given_);
      for (std::size_t i = 0; i < candidates.size() && !client_; ++i) {
        client_ = ControlClient::connect(candidates[next_++ % candidates.size()], failure);
        if (!client_ && failure.exit_code == kExitUsage) return std::nullopt;
      }
      if (candidates.empty()) connect_to_any(given_, failure);
    }
    if (client_) {
      client_->set_limit(kAttemptLimit);
      v1::ControlReply reply;
      if (client_->ask(request, reply, failure)) {
        // Too many at once is a matter of time; everything else is an answer.
        if (reply.inject().status() != v1::ControlInjectReply::TOO_MANY) return Answer{reply.inject(), attempts};
        failure = {kExitFailed, "too many requests wait in that torus; try again later"};
      } else if (!worth_repeating(failure)) {
        return std::nullopt;
      } else {
        client_.reset();
      }
    }
    if (std::chrono::steady_clock::now() >= end) return std::nullopt;
    std::this_thread::sleep_for(kRetryInterval);
  }
}

bool load_scenario(const std::vector<std::string>& given, const Bytes& scenario, std::chrono::seconds limit,
                   std::uint64_t& run, ControlFailure& failure, const std::function<void(std::size_t, std::size_t)>& on_sent) {
  auto client = connect_to_any(given, failure);
  if (!client) return false;
  if (on_sent) client->set_sent_hook(on_sent);
  const std::optional<v1::StatusReply> before = ask_status(*client, failure);
  if (!before) return false;
  v1::ControlRequest request;
  request.mutable_load()->set_scenario(scenario.data(), scenario.size());
  v1::ControlReply reply;
  if (!client->ask(request, reply, failure)) return false;
  const std::string hash = reply.load().scenario_hash();
  const auto end = std::chrono::steady_clock::now() + limit;
  std::optional<v1::StatusReply> status;
  do {
    status = ask_status(*client, failure);
    if (!status) return false;
    if (status->view().run() > before->view().run() && status->scenario_hash() == hash) {
      run = status->view().run();
      return true;
    }
    std::this_thread::sleep_for(kRetryInterval);
  } while (std::chrono::steady_clock::now() < end);
  failure = {kExitFailed, fmt::format("the scenario was offered, but the cluster did not start it within {} s: {}",
                                      limit.count(), status->verdict())};
  return false;
}

}  // namespace rse
