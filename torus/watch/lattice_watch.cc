#include "torus/watch/lattice_watch.h"

#include <utility>

namespace rse {

void LatticeWatch::on_boundary(Instant now, const Torus& torus) {
  Here& here = here_[torus.id().raw];
  if (since(here.wanted, kLookOn, now)) {
    here.counted = false;
    here.looked.reset();
    return;
  }
  if (!since(here.looked, kLookGap, now)) return;
  if (!here.counting) here.counting = std::make_unique<Counting>();
  if (here.looked) {
    here.counting->activity.note(here.counting->counts);
    here.counted = true;
  }
  here.corrective = torus.counters().corrective;
  here.looked = now;
  here.counting->counts.fill(0);
  torus.watch(here.counting->counts.data());
}

std::optional<LatticeSight> LatticeWatch::here(Instant now, TorusId torus) {
  Here& here = here_[torus.raw];
  here.wanted = now;
  if (!here.counted) return std::nullopt;
  return LatticeSight{torus, here.corrective, here.counting->activity.levels()};
}

std::optional<LatticeSight> LatticeWatch::on_sight(Instant now, NodeId from, LatticeSight sight, const View& view) {
  if (view.find(from) == nullptr) return std::nullopt;
  const TorusId torus = sight.torus;
  const NodeId host = view.hosts[torus.raw];
  if (!sight.levels.empty()) {
    if (host == from) there_[torus.raw] = {std::move(sight), from, now, there_[torus.raw].asked};
    return std::nullopt;
  }
  if (host != self_ || !since(here_[torus.raw].answered, kAnswerGap, now)) return std::nullopt;
  std::optional<LatticeSight> answer = here(now, torus);
  if (answer) here_[torus.raw].answered = now;
  return answer;
}

std::optional<LatticeSight> LatticeWatch::look(Instant now, TorusId torus, const View& view) {
  if (view.hosts[torus.raw] == self_) return here(now, torus);
  const There& there = there_[torus.raw];
  if (there.host != view.hosts[torus.raw] || since(there.seen, kSightFresh, now)) return std::nullopt;
  return there.sight;
}

std::optional<LatticeSight> LatticeWatch::question(Instant now, TorusId torus, const View& view) {
  There& there = there_[torus.raw];
  if (view.hosts[torus.raw] == self_ || !since(there.asked, kQuestionGap, now)) return std::nullopt;
  there.asked = now;
  return LatticeSight{torus, 0, {}};
}

}  // namespace rse
