// Looking for the next message before sleeping. To sleep and be woken costs tens of microseconds, so who expects a message sooner
// looks for it ("spin-then-block"). After a message that came within the limit it looks for twice as long as before, up to the
// limit, whether it had looked for that one or slept; after one that took longer, for half as long, and soon only once. (So does
// KVM where a processor halts, "halt polling".) What counts is how long the message took and not whether it was found by looking:
// two that answer each other take longer while they sleep than they look for, and would never begin.
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
  static constexpr Duration kTurn{50'000};
  static constexpr int kNewsPerTurn = 32;

  /// `limit`: after the last message; 0: never looks. `turn`: then others of the loop have theirs.
  explicit AdaptiveSpin(Duration limit, Duration turn = kTurn, Instant (*clock)() = monotonic_now)
      : clock_(clock), limit_(limit), turn_(turn), spin_(limit) {}

  void begin_turn() {
    if (limit_.raw == 0) return;
    turn_end_ = clock_() + turn_;
    news_left_ = kNewsPerTurn;
  }
  void took_message() {
    fresh_ = true;
    if (slept_) learn();
  }
  /// Calls `there()` until it says true or it is time to stop.
  template <class There>
  Look look(There there) {
    if (limit_.raw == 0) return Look::kQuiet;
    if (news_left_-- == 0) return Look::kTurnOver;
    while (!there()) {
      const Instant now = clock_();
      if (std::exchange(fresh_, false)) waits_since_ = now;
      if (now >= waits_since_ + spin_) {
        slept_ = true;
        return Look::kQuiet;
      }
      if (now >= turn_end_) return Look::kTurnOver;
    }
    look_longer();
    return Look::kNews;
  }

 private:
  void learn() {
    slept_ = false;
    if (elapsed(waits_since_, clock_()) <= limit_) return look_longer();
    spin_ = {spin_.raw / 2};
  }
  void look_longer() { spin_ = std::clamp(Duration{2 * spin_.raw}, Duration{limit_.raw / 16}, limit_); }

  Instant (*clock_)();
  Duration limit_, turn_, spin_;
  Instant waits_since_{}, turn_end_{};
  int news_left_ = 0;
  bool fresh_ = false;  // a message came after waits_since_
  bool slept_ = false;  // since the last message
};

}  // namespace rse
