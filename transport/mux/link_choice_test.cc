#include "transport/mux/link_choice.h"

#include <doctest/doctest.h>

using namespace rse;

namespace {

constexpr std::size_t kFirst = 0, kSecond = 1;

/// Two links on which something is sent each 5 ms and answered at once, as long as they work.
struct Links {
  Links() {
    choice.up(kFirst);
    choice.up(kSecond);
  }
  /// Until `condition`, or for `limit`; how long it took, in milliseconds.
  template <class F>
  std::uint64_t pass(F condition, Duration limit = milliseconds(10'000)) {
    const Instant begin = now;
    while (!condition() && elapsed(begin, now) < limit) step();
    return elapsed(begin, now).raw / 1'000'000;
  }
  void pass(Duration time) {
    (void)pass([] { return false; }, time);
  }
  void step() {
    now = now + milliseconds(5);
    for (std::size_t index : {kFirst, kSecond}) {
      ++sent[index];
      if (works[index]) answered[index] = sent[index] - (keeps_one ? 1 : 0);
      choice.note(index, {.sent = sent[index], .answered = answered[index], .rtt_nanoseconds = rtt[index].raw}, now);
    }
    choice.choose(now);
  }

  LinkChoice choice;
  Instant now{1'000'000'000};
  std::array<std::uint64_t, 2> sent{}, answered{};
  std::array<bool, 2> works{true, true};
  std::array<Duration, 2> rtt{milliseconds(0), milliseconds(0)};
  bool keeps_one = false;  // the last thing sent is never answered yet
};

}  // namespace

TEST_CASE("links: the preferred one carries, and comes back into use with its link") {
  Links links;
  CHECK(links.choice.in_use() == kFirst);
  links.choice.down(kFirst);
  CHECK(links.choice.in_use() == kSecond);
  links.choice.up(kFirst);
  CHECK(links.choice.in_use() == kFirst);
  CHECK(links.choice.count() == 2);
}

TEST_CASE("links: one that does not answer is left within 30 ms, and used again when it has answered for a second") {
  for (const bool keeps_one : {false, true}) {
    CAPTURE(keeps_one);
    Links links;
    links.keeps_one = keeps_one;
    links.pass(milliseconds(100));
    links.works[kFirst] = false;
    CHECK(links.pass([&] { return links.choice.in_use() == kSecond; }) <= 30);
    CHECK(links.choice.health(kFirst) == LinkHealth::kSilent);
    links.pass(milliseconds(3000));
    CHECK(links.choice.in_use() == kSecond);
    links.works[kFirst] = true;
    const std::uint64_t proving = links.pass([&] { return links.choice.in_use() == kFirst; });
    CHECK(proving >= 1000);
    CHECK(proving <= 1020);
  }
}

TEST_CASE("links: one that answers now and then does not come back into use") {
  Links links;
  links.works[kFirst] = false;
  links.pass(milliseconds(100));
  for (int times = 0; times < 20; ++times) {
    links.works[kFirst] = true;
    links.pass(milliseconds(300));
    links.works[kFirst] = false;
    links.pass(milliseconds(100));
    CHECK(links.choice.in_use() == kSecond);
  }
}

TEST_CASE("links: where all are silent it is the peer: the preferred one stays, and it is used at once when the peer is back") {
  Links links;
  links.pass(milliseconds(100));
  links.works = {false, false};
  links.pass(milliseconds(500));
  CHECK(links.choice.in_use() == kFirst);
  links.works = {true, true};
  links.pass(milliseconds(20));
  CHECK(links.choice.in_use() == kFirst);
  links.pass(milliseconds(1200));
  CHECK(links.choice.health(kFirst) == LinkHealth::kWorks);
}

TEST_CASE("links: a silence that the round trip or the other end's delay explains is none") {
  Links links;
  links.rtt[kFirst] = milliseconds(9);
  links.pass(milliseconds(100));
  links.works[kFirst] = false;
  CHECK(links.pass([&] { return links.choice.in_use() == kSecond; }) >= 55);

  LinkChoice patient;
  patient.up(kFirst);
  for (std::uint64_t time = 0; time <= 80; time += 5)
    patient.note(kFirst, {.sent = 1, .answered = 0, .answer_delay_nanoseconds = 60'000'000}, Instant{time * 1'000'000 + 1});
  CHECK(patient.health(kFirst) == LinkHealth::kWorks);
  patient.note(kFirst, {.sent = 1, .answered = 0, .answer_delay_nanoseconds = 60'000'000}, Instant{81'000'002});
  CHECK(patient.health(kFirst) == LinkHealth::kSilent);
}

TEST_CASE("links: one that is much slower than another for two seconds is passed over until it is not") {
  Links links;
  links.rtt = {milliseconds(60), milliseconds(10)};  // 60 > 4 * 10 + 10
  links.pass(milliseconds(1900));
  CHECK(links.choice.in_use() == kFirst);
  links.pass(milliseconds(200));
  CHECK(links.choice.in_use() == kSecond);
  CHECK(links.choice.slow(kFirst));
  links.rtt[kFirst] = milliseconds(30);  // better, and not by enough
  links.pass(milliseconds(500));
  CHECK(links.choice.in_use() == kSecond);
  links.rtt[kFirst] = milliseconds(20);
  links.pass(milliseconds(10));
  CHECK(links.choice.in_use() == kFirst);
  links.rtt[kFirst] = milliseconds(60);
  links.works[kSecond] = false;  // the slow one is better than none
  links.pass(milliseconds(3000));
  CHECK(links.choice.in_use() == kFirst);
}
