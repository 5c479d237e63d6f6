#include "transport/strangers.h"

#include <algorithm>
#include <utility>

namespace rse {

std::optional<std::string> StrangerLog::line(const std::string& host, const std::string& why, Instant now) {
  if (!strangers_.contains(host) && strangers_.size() >= kStrangersMax) {
    strangers_.erase(std::min_element(strangers_.begin(), strangers_.end(), [](const auto& a, const auto& b) {
      return a.second.reported < b.second.reported;
    }));
  }
  Stranger& stranger = strangers_[host];
  if (stranger.reported.raw != 0 && elapsed(stranger.reported, now) < kReportEvery) {
    ++stranger.unreported;
    return {};
  }
  const std::uint64_t before = std::exchange(stranger.unreported, 0);
  stranger.reported = now;
  return before == 0 ? why : why + " (and " + std::to_string(before) + " more of that host's connections)";
}

}  // namespace rse
