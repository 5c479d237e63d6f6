// Which of the links with a peer carries what we send: the most preferred one that works. One that is up and does not answer any
// more is silent, long before its transport gives it up; one that is much slower than another is passed over too.
// The same calls give the same choice. Threads: none. Memory: a few words. Errors: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "torus/base/strong.h"
#include "transport/transport.h"

namespace rse {

inline constexpr std::size_t kCarriersMax = 4;

//  kWorks --nothing answered for longer than it may take--> kSilent --answers--> kProving --kProof without silence--> kWorks
//                                                               ^-------silent again---'
enum class LinkHealth : std::uint8_t { kWorks, kSilent, kProving };

class LinkChoice {
 public:
  /// Without an answer, beyond four round trips and what the other end may wait.
  static constexpr Duration kSilence = milliseconds(20);
  static constexpr Duration kProof = milliseconds(1000);
  /// A link is slow that takes kSlowTimes as long as another, and kSlowBy more, for kSlowFor; then until it takes half of that.
  static constexpr std::uint64_t kSlowTimes = 4;
  static constexpr Duration kSlowBy = milliseconds(10);
  static constexpr Duration kSlowFor = milliseconds(2000);

  /// `index`: the smaller, the more preferred.
  void up(std::size_t index);
  void down(std::size_t index);
  /// What its transport knows of a link that is up.
  void note(std::size_t index, const LinkProgress& progress, Instant now);
  /// After the notes of `now`. Without any link: 0.
  std::size_t choose(Instant now);

  std::size_t in_use() const { return in_use_; }
  bool linked(std::size_t index) const { return links_[index].up; }
  std::size_t count() const;
  LinkHealth health(std::size_t index) const { return links_[index].health; }
  bool slow(std::size_t index) const { return links_[index].slow; }

 private:
  struct Link {
    bool up = false;
    LinkHealth health = LinkHealth::kWorks;
    bool waiting = false;        // something that was sent has not been answered
    std::uint64_t answered = 0;
    Instant waiting_since{};     // or since the last answer
    Instant proving_since{};
    Duration rtt{};
    bool slow = false;
    bool slow_soon = false;
    Instant slow_since{};
  };
  void judge_speed(Link& link, Instant now) const;

  std::array<Link, kCarriersMax> links_{};
  std::size_t in_use_ = 0;
};

}  // namespace rse
