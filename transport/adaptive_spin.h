// Looking for the next message before sleeping. To sleep and be woken costs tens of microseconds, so who expects a message sooner
// looks for it ("spin-then-block"). Who has looked in vain looks for half as long next time, down to a sixteenth of the limit,
// so that the next busy time is noticed; who has found something, for twice as long, up to the limit.
// Threads: one. Memory, errors: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "torus/base/strong.h"
#include "transport/monotonic_clock.h"

namespace rse {

class AdaptiveSpin {
 public:
  enum class Look : std::uint8_t {
    kNews,
    kTurnOver,  // others of the loop want their turn
    kQuiet,     // nothing: sleep
  };
  /// `limit`: after the last message; 0: never looks.
  explicit AdaptiveSpin(Duration limit, Instant (*clock)() = monotonic_now) : clock_(clock), limit_(limit), spin_(limit) {}

  static constexpr Duration kTurn{50'000};
  static constexpr int kNewsPerTurn = 32;

  void begin_turn() {
    if (limit_.raw == 0) return;
    turn_end_ = clock_() + kTurn;
    news_left_ = kNewsPerTurn;
  }
  void took_message() { fresh_ = looks_ = true; }
  /// Calls `there()` until it says true or it is time to stop.
  template <class There>
  Look look(There there) {
    if (limit_.raw == 0) return Look::kQuiet;
    if (news_left_-- == 0) return Look::kTurnOver;
    while (!there()) {
      const Instant now = clock_();
      if (std::exchange(fresh_, false)) last_taken_ = now;
      if (now >= last_taken_ + spin_) {
        if (std::exchange(looks_, false)) spin_ = std::max(Duration{limit_.raw / 16}, Duration{spin_.raw / 2});
        return Look::kQuiet;
      }
      if (now >= turn_end_) return Look::kTurnOver;
    }
    spin_ = std::min(limit_, Duration{2 * spin_.raw});
    return Look::kNews;
  }

 private:
  Instant (*clock_)();
  Duration limit_, spin_;
  Instant last_taken_{}, turn_end_{};
  int news_left_ = 0;
  bool fresh_ = false;  // a message came after last_taken_
  bool looks_ = false;  // and has not been looked after in vain
};

}  // namespace rse
