#include "node/history/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace rse {
namespace {

using Record = v1::IncidentRecord;

constexpr double kStoryMilliseconds = 30'000;     // what comes later belongs to something else
constexpr double kSuspicionMilliseconds = 1'000;  // an older suspicion was another one

double milliseconds_between(std::uint64_t from, std::uint64_t to) {
  return (static_cast<double>(to) - static_cast<double>(from)) / 1e6;
}

class Finder {
 public:
  explicit Finder(const std::vector<Told>& told) : told_(told) {}

  std::vector<Story> find() {
    for (std::size_t i = 0; i < told_.size(); ++i) look(i);
    return std::move(found_);
  }

 private:
  const Record& record(std::size_t i) const { return told_[i].record; }

  void look(std::size_t i) {
    const Record& now = record(i);
    Story* const story = current(now);
    switch (now.kind()) {
      case Record::PEER_SUSPECTED:
        suspected_.try_emplace(now.node(), i);
        return;
      case Record::PEER_HEARD_AGAIN:
        suspected_.erase(now.node());
        return;
      case Record::JOINED: returned_.insert(told_[i].whose()); return;
      case Record::PEER_LOST: return lost(i);
      case Record::VIEW_INSTALLED:
        if (story != nullptr && !story->ends[1]) end(*story, Phase::kViewAgreed, i);
        return;
      case Record::REBUILD_STARTED:
        if (story != nullptr && now.has_torus() && !rebuilds(*story, now)) {
          story->tori.push_back(now.torus());
          story->hosts.push_back(now.node());
          story->last = i;
        }
        return;
      case Record::REBUILD_REPLAYING: return end_of_torus(story, Phase::kGathered, i);
      case Record::REBUILT: return end_of_torus(story, Phase::kReplayed, i);
      case Record::FIRST_EPOCH:
        end_of_torus(story, Phase::kRunning, i);
        if (story != nullptr && rebuilds(*story, now)) running_.insert(now.torus());
        if (story != nullptr && running_.size() >= story->tori.size() && !story->tori.empty()) story->over = true;
        return;
      default: return;
    }
  }

  Story* current(const Record& now) {
    if (found_.empty() || found_.back().over) return nullptr;
    return milliseconds_between(found_.back().begun_unix_nanoseconds, now.unix_nanoseconds()) < kStoryMilliseconds ? &found_.back()
                                                                                                                  : nullptr;
  }

  void lost(std::size_t i) {
    const Record& now = record(i);
    const bool known = !found_.empty() && found_.back().node == now.node() && !returned_.contains(now.node()) &&
                       milliseconds_between(found_.back().begun_unix_nanoseconds, now.unix_nanoseconds()) < kStoryMilliseconds;
    if (known) return;  // another node says the same
    Story story;
    story.first = story.last = i;
    if (const auto at = suspected_.find(now.node());
        at != suspected_.end() && milliseconds_between(record(at->second).unix_nanoseconds(), now.unix_nanoseconds()) < kSuspicionMilliseconds)
      story.first = at->second;
    suspected_.erase(now.node());
    story.node = now.node();
    story.begun_unix_nanoseconds = record(story.first).unix_nanoseconds();
    story.why = now.text();
    story.witness = told_[i].by;
    story.number = now.number();
    end(story, Phase::kLost, i);
    found_.push_back(std::move(story));
    returned_.erase(now.node());
    running_.clear();
  }

  static bool rebuilds(const Story& story, const Record& now) {
    return now.has_torus() && std::find(story.tori.begin(), story.tori.end(), now.torus()) != story.tori.end();
  }

  void end_of_torus(Story* story, Phase phase, std::size_t i) {
    if (story != nullptr && rebuilds(*story, record(i))) end(*story, phase, i);
  }

  void end(Story& story, Phase phase, std::size_t i) {
    // In the order of time: the slowest torus comes last.
    story.ends[static_cast<std::size_t>(phase)] = milliseconds_between(story.begun_unix_nanoseconds, record(i).unix_nanoseconds());
    story.last = i;
  }

  const std::vector<Told>& told_;
  std::vector<Story> found_;
  std::map<std::uint64_t, std::size_t> suspected_;  // by node, since when
  std::set<std::uint64_t> returned_;  // have joined since the last story
  std::set<std::uint32_t> running_;   // of the last story's tori
};

}  // namespace

const char* phase_word(Phase phase) {
  switch (phase) {
    case Phase::kLost: return "suspected";
    case Phase::kViewAgreed: return "view agreed";
    case Phase::kGathered: return "shards gathered";
    case Phase::kReplayed: return "replayed";
    case Phase::kRunning: return "verified, running";
  }
  return "";
}

std::string name_in(const NodeNames& names, std::uint64_t node) {
  const auto at = names.find(node);
  return at == names.end() || at->second.empty() ? fmt::format("{:016x}", node) : at->second;
}

std::vector<Told> put_together(const std::vector<v1::HistoryReply>& histories) {
  std::set<std::uint64_t> present;
  for (const v1::HistoryReply& history : histories) present.insert(history.node());
  std::vector<Told> told;
  for (const v1::HistoryReply& history : histories)
    for (const Record& record : history.incidents())
      if (!present.contains(record.by())) told.push_back({record, history.node()});
  std::stable_sort(told.begin(), told.end(),
                   [](const Told& a, const Told& b) { return a.record.unix_nanoseconds() < b.record.unix_nanoseconds(); });
  return told;
}

std::vector<Story> find_stories(const std::vector<Told>& told) { return Finder(told).find(); }

std::string tell(const Story& story, const NodeNames& names) {
  const std::string who = name_in(names, story.node);
  if (story.tori.empty()) return who + " died; no torus had to be rebuilt";
  std::string tori;
  std::string where;
  for (std::size_t i = 0; i < story.tori.size(); ++i) {
    tori += (i == 0 ? "" : " and ") + std::string(1, static_cast<char>('A' + story.tori[i]));
    const std::string host = name_in(names, story.hosts[i]);
    if (where.find(host) == std::string::npos) where += (where.empty() ? "" : " and ") + host;
  }
  const char* const word = story.tori.size() == 1 ? "torus" : "tori";
  if (!story.over) return fmt::format("{} died: {} {} is rebuilt on {}, the end is not recorded", who, word, tori, where);
  return fmt::format("{} died: {} {} grew back on {} in {:.0f} ms", who, word, tori, where, story.ends.back().value_or(0));
}

}  // namespace rse
