// What the control API asks of the node, and who waits for an answer.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "node/shell.h"

namespace rse {
namespace {

constexpr Duration kReadLimit = milliseconds(5000);
constexpr Duration kInjectMemory = milliseconds(60'000);
constexpr Duration kTrustChangeLimit = milliseconds(6000);  // the braid gives up a little earlier

}  // namespace

std::string NodeShell::name_of(NodeId node) const {
  if (node == options_.braid.self.node) return options_.braid.self.name;
  if (const Member* member = braid_->view().find(node); member && !member->name.empty()) return member->name;
  return fmt::format("{:016x}", node.raw);
}

bool NodeShell::hosted_here(TorusId torus) const {
  return braid_->view().hosts[torus.raw] == options_.braid.self.node;
}

bool NodeShell::inject(TorusId torus, Injection injection, InjectCallback callback) {
  if (stopped_ || injects_.size() >= kPendingRequestsMax) return false;
  const Instant now = monotonic_now();
  injects_.emplace(std::pair{injection.client.raw, injection.sequence}, PendingInject{std::move(callback), now});
  braid_->on_inject(now, torus, std::move(injection));
  pump();
  return true;
}

void NodeShell::answer(const InjectAnswer& answer) {
  const auto at = injects_.find({answer.client.raw, answer.sequence});
  if (at == injects_.end()) return;
  const InjectCallback callback = std::move(at->second.callback);
  injects_.erase(at);
  callback(answer);
}

Result<void> NodeShell::load(std::span<const std::byte> scenario) {
  Result<void> result = braid_->on_load(monotonic_now(), scenario);
  pump();
  return result;
}

Result<void> NodeShell::override_majority() {
  Result<void> result = braid_->on_override(monotonic_now());
  log_.write(spdlog::level::critical, "override", {{"accepted", result ? "yes" : "no"}});
  pump();
  return result;
}

PublicKey NodeShell::cluster_key() const {
  const auto book = make_book();
  return book && book->trust.has_seed() ? book->cluster_key() : PublicKey{};
}

Result<void> NodeShell::change_trust(const TrustChange& change, TrustCallback callback) {
  Result<void> asked = braid_->on_trust_change(monotonic_now(), change);
  if (asked) trust_changes_.push_back({change, std::move(callback), monotonic_now()});
  pump();
  answer_trust_changes();
  return asked;
}

void NodeShell::answer_trust_changes() {
  const Instant now = monotonic_now();
  std::vector<std::pair<TrustCallback, bool>> answers;
  std::erase_if(trust_changes_, [&](PendingTrustChange& pending) {
    const bool done = view().trust.holds(pending.change);
    if (!done && elapsed(pending.asked, now) < kTrustChangeLimit) return false;
    answers.emplace_back(std::move(pending.callback), done);
    return true;
  });
  for (const auto& [callback, done] : answers) callback(done);
}

void NodeShell::read_machine(TorusId torus, std::function<void(const TorusMachine*)> read) {
  if (const TorusMachine* machine = braid_->machine(torus)) return read(machine);
  if (stopped_ || !hosted_here(torus)) return read(nullptr);
  reads_[torus.raw].push_back({std::move(read), monotonic_now()});
}

void NodeShell::read_state(TorusId torus, std::function<void(const StateDigest*)> read) {
  if (stopped_ || !hosted_here(torus)) return read(nullptr);
  state_reads_[torus.raw].push_back({std::move(read), monotonic_now()});
}

NodeShell::Lattice NodeShell::look_at(TorusId torus) {
  if (stopped_) return {std::nullopt, "the node stops", false};
  const Instant now = monotonic_now();
  const NodeId host = view().hosts[torus.raw];
  if (!hosted_here(torus)) {
    const std::vector<LinkStats> links = transport_->stats();
    const bool linked = std::any_of(links.begin(), links.end(), [&](const LinkStats& link) { return link.peer == host && link.connected; });
    if (!linked)
      return {std::nullopt, fmt::format("torus {} is hosted by {}, with which this node has no link of its own", letter_of(torus), name_of(host)),
              false};
    if (const auto question = lattices_.question(now, torus, view())) send_sight(host, *question);
  }
  if (auto sight = lattices_.look(now, torus, view())) return {std::move(sight), {}, false};
  return {std::nullopt, fmt::format("{} has not shown torus {} yet", name_of(host), letter_of(torus)), true};
}

Tick NodeShell::outputs_released(TorusId torus) {
  auto& [run, until] = outputs_released_[torus.raw];
  if (std::exchange(run, view().run) != view().run) until = {};
  until = std::max(until, braid_->outputs_released(torus));
  return until;
}

/// Whoever has waited too long is told so, or forgotten.
void NodeShell::expire_requests() {
  answer_trust_changes();
  const Instant now = monotonic_now();
  std::erase_if(injects_, [&](const auto& entry) { return elapsed(entry.second.asked, now) > kInjectMemory; });
  const auto expire = [&](auto& waiting) {
    auto kept = std::exchange(waiting, {});
    for (auto& read : kept) {
      if (elapsed(read.asked, now) > kReadLimit)
        read.call(nullptr);
      else
        waiting.push_back(std::move(read));
    }
  };
  for (auto& reads : reads_) expire(reads);
  for (auto& reads : state_reads_) expire(reads);
}

}  // namespace rse
