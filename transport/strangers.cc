#include "transport/strangers.h"

#include <algorithm>
#include <utility>

namespace rse {

std::optional<std::uint64_t> Repeats::say(const std::string& what, Instant now) {
  if (!said_.contains(what) && said_.size() >= kRememberedMax) {
    said_.erase(std::min_element(said_.begin(), said_.end(), [](const auto& a, const auto& b) { return a.second.at < b.second.at; }));
  }
  Said& said = said_[what];
  if (said.at.raw != 0 && elapsed(said.at, now) < kEvery) {
    ++said.kept_back;
    return {};
  }
  said.at = now;
  return std::exchange(said.kept_back, 0);
}

std::optional<std::string> StrangerLog::line(const std::string& host, const std::string& why, Instant now) {
  const auto before = hosts_.say(host, now);
  if (!before) return {};
  return *before == 0 ? why : why + " (and " + std::to_string(*before) + " more of that host's connections)";
}

}  // namespace rse
