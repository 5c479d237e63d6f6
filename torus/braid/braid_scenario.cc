// Runs: a scenario is offered in parts, held by every host, and then started by a view.
#include "torus/braid/braid_state.h"

namespace rse {

Result<void> BraidNode::Impl::on_load(std::span<const std::byte> bytes) {
  if (auto scenario = decode_scenario(bytes); !scenario) return scenario.error();
  if (!am_member()) return Error::kNotFound;
  const Digest256 hash = digest_of(bytes);
  ScenarioBlob blob{.bytes = {bytes.begin(), bytes.end()}, .hash = hash};
  ScenarioBlob& stored = new_offer(std::move(blob));
  offered = hash;
  scenario_whole(stored);
  for (const Member& member : view.members) {
    if (member.node != self.node) send_scenario(member.node, hash);
  }
  return {};
}

/// Puts an offer beside the others. The oldest goes when there are too many; not sooner, as the next run may begin with any of them.
ScenarioBlob& BraidNode::Impl::new_offer(ScenarioBlob blob) {
  blob.order = ++offers_seen;
  scenarios.erase(blob.hash);
  const auto is_offer = [&](const auto& entry) { return entry.first != view.scenario; };
  while (blob.hash != view.scenario && static_cast<std::size_t>(std::count_if(scenarios.begin(), scenarios.end(), is_offer)) >= kOffersMax) {
    auto oldest = scenarios.end();
    for (auto it = scenarios.begin(); it != scenarios.end(); ++it) {
      if (is_offer(*it) && (oldest == scenarios.end() || it->second.order < oldest->second.order)) oldest = it;
    }
    if (offered && *offered == oldest->first) offered.reset();
    scenarios.erase(oldest);
  }
  return scenarios[blob.hash] = std::move(blob);
}

void BraidNode::Impl::send_scenario(NodeId to, const Digest256& hash) {
  const auto found = scenarios.find(hash);
  if (found == scenarios.end() || !found->second.whole || bulk_waits(to, std::nullopt)) return;
  const ScenarioBlob& blob = found->second;
  for (std::size_t offset = 0; offset < blob.bytes.size(); offset += kPartBytes) {
    const std::size_t size = std::min(kPartBytes, blob.bytes.size() - offset);
    ScenarioPart part{blob.hash, static_cast<std::uint32_t>(blob.bytes.size()),
                      static_cast<std::uint32_t>(offset), {}, offered && *offered == hash, view.run};
    part.bytes.assign(blob.bytes.begin() + offset, blob.bytes.begin() + offset + size);
    send(to, std::move(part));
  }
}

void BraidNode::Impl::on_scenario_part(NodeId from, const ScenarioPart& part) {
  if (!view.find(from) || part.total_bytes > kScenarioBytesMax || part.bytes.empty()) return;
  // An offer that comes late is of a run that has begun; it may be offered again, the present run's scenario too.
  const bool offer = part.offer && part.run == view.run;
  if (!offer && part.hash != view.scenario) return;
  auto known = scenarios.find(part.hash);
  if (known != scenarios.end() && known->second.whole) {
    if (offer) offered = part.hash;
    if (known->second.held) send(from, ScenarioHeld{part.hash, view.run});
    return;
  }
  if (part.offset == 0) {
    new_offer(ScenarioBlob{.hash = part.hash});
    if (offer) offered = part.hash;
    known = scenarios.find(part.hash);
  }
  if (known == scenarios.end()) return;
  ScenarioBlob& blob = known->second;
  if (part.offset != blob.bytes.size() || blob.bytes.size() + part.bytes.size() > part.total_bytes) return;
  blob.bytes.insert(blob.bytes.end(), part.bytes.begin(), part.bytes.end());
  blob.holders.insert(from);
  if (blob.bytes.size() < part.total_bytes) return;
  if (digest_of(blob.bytes) != blob.hash || !decode_scenario(blob.bytes)) {
    ++messages_refused;
    scenarios.erase(known);
    return;
  }
  scenario_whole(blob);
}

void BraidNode::Impl::scenario_whole(ScenarioBlob& blob) {
  blob.whole = true;
  const Digest256 hash = blob.hash;
  // The present run's stays until a view has started the next: all may die before that.
  std::vector<Digest256> others;
  for (const auto& [other, kept] : scenarios) {
    if (kept.whole) others.push_back(other);
  }
  persist(PersistScenario{blob.bytes, hash, std::move(others)}, [this, hash] {
    const auto found = scenarios.find(hash);
    if (found == scenarios.end()) return;
    found->second.held = true;
    for (const Member& member : view.members) {
      if (member.node != self.node) send(member.node, ScenarioHeld{hash, view.run});
    }
  });
  if (hash != view.scenario) return;
  for (TorusId torus : kTori) {
    HostedTorus* mine = hosted[torus.raw].get();
    if (mine && !mine->restored && !mine->working && !mine->gather) load_machine(torus);
  }
}

void BraidNode::Impl::on_scenario_held(NodeId from, const ScenarioHeld& held) {
  const auto found = scenarios.find(held.hash);
  if (found != scenarios.end() && held.run == view.run) found->second.holders.insert(from);
}

void BraidNode::Impl::on_scenario_wanted(NodeId from, const ScenarioWanted& wanted) {
  if (wanted.hash == view.scenario) send_scenario(from, wanted.hash);
}

/// A member that came after the run began asks for its scenario; an offer that the voters have not heard of is repeated.
void BraidNode::Impl::want_scenario() {
  if (!am_member() || elapsed(scenario_asked, now) < milliseconds(100)) return;
  scenario_asked = now;
  const auto found = scenarios.find(view.scenario);
  if (found == scenarios.end() || !found->second.whole) {
    for (const Member& member : view.members) {
      if (member.node != self.node) send(member.node, ScenarioWanted{view.scenario});
    }
  }
  if (!offered) return;
  const ScenarioBlob& blob = scenarios[*offered];
  if (!blob.held) return;
  for (const Member& member : view.members) {
    if (member.node == self.node) continue;
    send(member.node, ScenarioHeld{*offered, view.run});
    if (!blob.holders.contains(member.node)) send_scenario(member.node, *offered);
  }
}

/// Puts the machine of `torus` at the beginning of the run, as soon as the scenario is here.
void BraidNode::Impl::load_machine(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  const auto found = scenarios.find(view.scenario);
  if (found == scenarios.end() || !found->second.whole) return;
  if (!scenario_parsed) {
    auto parsed = decode_scenario(found->second.bytes);
    RSE_ASSERT(parsed, "an offered scenario was decoded before");
    scenario_parsed = std::make_shared<const Scenario>(std::move(*parsed));
  }
  if (!mine.machine) mine.machine = make_machine(torus);
  mine.failure = std::make_shared<std::optional<Error>>();
  mine.working = mine.put_together = true;
  RunEpoch work;
  work.kind = RunEpoch::Kind::kLoad;
  work.torus = torus;
  work.machine = mine.machine.get();
  work.run = view.run;
  work.scenario = scenario_parsed;
  work.failure = mine.failure;
  work_out.push_back(std::move(work));
}

}  // namespace rse
