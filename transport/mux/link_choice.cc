#include "transport/mux/link_choice.h"

#include <algorithm>
#include <optional>

namespace rse {

void LinkChoice::up(std::size_t index) {
  links_[index] = Link{};
  links_[index].up = true;
  if (!links_[in_use_].up || index < in_use_) in_use_ = index;
}

void LinkChoice::down(std::size_t index) {
  links_[index].up = false;
  if (in_use_ != index) return;
  // What is known of the others decides; their next notes may say otherwise.
  choose(Instant{});
}

void LinkChoice::note(std::size_t index, const LinkProgress& progress, Instant now) {
  Link& link = links_[index];
  if (!link.up) return;
  link.rtt = {progress.rtt_nanoseconds};
  const bool answered = progress.answered != link.answered;
  link.answered = progress.answered;
  const bool waits = progress.sent != progress.answered;
  if (answered || (waits && !link.waiting)) link.waiting_since = now;
  link.waiting = waits;
  const std::uint64_t limit = kSilence.raw + 4 * link.rtt.raw + progress.answer_delay_nanoseconds;
  const bool silent = waits && elapsed(link.waiting_since, now).raw > limit;
  if (silent) {
    link.health = LinkHealth::kSilent;
  } else if (link.health == LinkHealth::kSilent && answered) {
    link.health = LinkHealth::kProving;
    link.proving_since = now;
  } else if (link.health == LinkHealth::kProving && elapsed(link.proving_since, now) > kProof) {
    link.health = LinkHealth::kWorks;
  }
}

/// Against the quickest of the others that work.
void LinkChoice::judge_speed(Link& link, Instant now) const {
  Duration best{~std::uint64_t{0}};
  for (const Link& other : links_) {
    if (&other == &link || !other.up || other.health != LinkHealth::kWorks || other.rtt.raw == 0) continue;
    best = std::min(best, other.rtt);
  }
  if (best.raw == ~std::uint64_t{0}) {
    link.slow = link.slow_soon = false;
    return;
  }
  const std::uint64_t limit = kSlowTimes * best.raw + kSlowBy.raw;
  const bool much_slower = link.rtt.raw > (link.slow ? limit / 2 : limit);
  if (much_slower && !link.slow_soon) link.slow_since = now;
  link.slow_soon = much_slower;
  if (!much_slower) link.slow = false;
  else if (elapsed(link.slow_since, now) > kSlowFor) link.slow = true;
}

std::size_t LinkChoice::choose(Instant now) {
  for (Link& link : links_) {
    if (link.up && now.raw != 0) judge_speed(link, now);
  }
  const auto rank = [](const Link& link) {
    if (link.health == LinkHealth::kWorks) return link.slow ? 1 : 0;
    return link.health == LinkHealth::kProving ? 2 : 3;  // where all are silent it is the peer that is: the preferred one
  };
  std::optional<std::size_t> best;
  for (std::size_t index = 0; index < links_.size(); ++index) {
    if (links_[index].up && (!best || rank(links_[index]) < rank(links_[*best]))) best = index;
  }
  return in_use_ = best.value_or(0);
}

std::size_t LinkChoice::count() const {
  return static_cast<std::size_t>(std::count_if(links_.begin(), links_.end(), [](const Link& link) { return link.up; }));
}

}  // namespace rse
