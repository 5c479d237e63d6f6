#include "transport/clock.h"

#include <time.h>

#include <algorithm>
#include <chrono>

namespace rse {

std::uint64_t unix_seconds() { return static_cast<std::uint64_t>(::time(nullptr)); }

std::string time_text(std::uint64_t seconds) {
  constexpr std::uint64_t kYear10000 = 253'402'300'800;
  if (seconds >= kYear10000) return "an unknown time";
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss clock(time - midnight);
  const auto digits = [](std::int64_t number, std::size_t count) {
    std::string text = std::to_string(number);
    return std::string(count - std::min(count, text.size()), '0') + text;
  };
  return digits(static_cast<int>(date.year()), 4) + "-" + digits(static_cast<unsigned>(date.month()), 2) + "-" +
         digits(static_cast<unsigned>(date.day()), 2) + " " + digits(clock.hours().count(), 2) + ":" + digits(clock.minutes().count(), 2) +
         ":" + digits(clock.seconds().count(), 2) + " UTC";
}

}  // namespace rse
