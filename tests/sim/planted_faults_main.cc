// Plants each fault of torus/braid/planted_fault.h in turn and looks whether the simulator notices. Without arguments it is a
// test: it begins with seeds that are known to notice a fault, and goes on with kSeedsMax from each of kFirsts when the product has changed
// so much that they do not any more. With a number, it measures how many schedules it takes, at most, from several first seeds; with
// the name of a fault behind it, of that one.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/sim/duel.h"
#include "tests/sim/many_runs.h"
#include "tests/sim/stories.h"
#include "torus/braid/planted_fault.h"

namespace {

using namespace rse;
using namespace rse::sim;

constexpr std::uint64_t kSeedsMax = 1500;  // from each of kFirsts
constexpr std::uint64_t kFirsts[] = {1, 100'001, 200'001};

/// What looks for a fault.
enum class By : std::uint8_t { kSchedule, kDuel, kBlackout, kLatecomers };
constexpr const char* kByNames[] = {"schedule", "duel", "blackout", "latecomers"};

struct Entry {
  Fault fault;
  std::uint64_t seed;  // that notices it
  By by = By::kSchedule;
};
constexpr Entry kEntries[] = {
    {Fault::kVoteNotPersisted, 6},
    {Fault::kLowBallotAccepted, 479, By::kDuel},
    {Fault::kAcceptedValueIgnored, 200017, By::kDuel},
    {Fault::kMajorityOfOne, 200008, By::kDuel},
    {Fault::kViewWithoutFencing, 3},
    {Fault::kFencedHostAccepted, 200007, By::kLatecomers},
    {Fault::kLaterViewAcknowledges, 100158},
    {Fault::kOneGatherAnswerIsEnough, 29},
    {Fault::kSealedBeforeOfficial, 100002},
    {Fault::kKnownSealsIgnored, 6},
    {Fault::kAnsweredBeforeSecondCopy, 11},
    {Fault::kAnsweredBeforeDisk, 1, By::kBlackout},
    {Fault::kSealsDurableEarly, 1, By::kBlackout},
    {Fault::kInputsForgotten, 1},
    {Fault::kOldCutForgotten, 22},
    {Fault::kCutDurableEarly, 61},
    {Fault::kOwnCutNotPersisted, 200007},
    {Fault::kShardNotRepeated, 200005},
    {Fault::kPacketsNotRepeated, 7},
    {Fault::kWrongBase, 1},
    {Fault::kHeartbeatSequenceStuck, 1},
    {Fault::kResumedFromScenario, 77},
    {Fault::kClientsForgotten, 2},
    {Fault::kClientAppliedTwice, 3},
    {Fault::kVoteNotSynced, 6},
    {Fault::kJournalNotSynced, 22},
    {Fault::kCutNamesNotSynced, 21},
};
static_assert(std::size(kEntries) == kFaultNames.size() - 1, "every fault has an entry");

std::string run(By by, std::uint64_t seed) {
  return in_a_process([&] {
    switch (by) {
      case By::kSchedule: return run_schedule(make_schedule(seed)).broken;
      case By::kDuel: return duel(seed);
      case By::kBlackout: return blackout(seed);
      case By::kLatecomers: return latecomers(seed);
    }
    return std::string();
  });
}

/// How the seed notices the fault; empty: it does not, or fails without the fault too.
std::string notices(const Entry& entry, std::uint64_t seed) {
  planted_fault = entry.fault;
  const std::string broken = run(entry.by, seed);
  planted_fault = Fault::kNone;
  return broken.empty() || !run(entry.by, seed).empty() ? "" : broken;
}

const char* name_of(By by) { return kByNames[static_cast<std::size_t>(by)]; }
std::string short_of(const std::string& what) { return what.substr(0, what.find(':')); }

bool test(const Entry& entry) {
  const std::string name(kFaultNames[static_cast<std::size_t>(entry.fault)]);
  std::string how = notices(entry, entry.seed);
  std::uint64_t seed = entry.seed;
  for (std::uint64_t next = 0; how.empty() && next < std::size(kFirsts) * kSeedsMax; ++next) {
    seed = kFirsts[next % std::size(kFirsts)] + next / std::size(kFirsts);
    how = notices(entry, seed);
  }
  if (how.empty()) {
    std::printf("%-28s NOT NOTICED by its seed %llu, nor by %llu others\n", name.c_str(),
                static_cast<unsigned long long>(entry.seed), static_cast<unsigned long long>(std::size(kFirsts) * kSeedsMax));
  } else {
    std::printf("%-28s %s %llu%s: %s\n", name.c_str(), name_of(entry.by), static_cast<unsigned long long>(seed),
                seed == entry.seed ? "" : " (write it down instead of the one that does not notice it any more)", short_of(how).c_str());
  }
  std::fflush(stdout);
  return !how.empty();
}

void measure(const Entry& entry, std::uint64_t seeds_max) {
  std::vector<std::uint64_t> needed;
  std::uint64_t by = 0;
  std::string what = "not noticed";
  for (const std::uint64_t first : kFirsts) {
    std::uint64_t count = 1;
    for (; count <= seeds_max; ++count) {
      const std::string how = notices(entry, first + count - 1);
      if (how.empty()) continue;
      if (by == 0) by = first + count - 1, what = how;
      break;
    }
    needed.push_back(count);
  }
  std::sort(needed.begin(), needed.end());
  const auto shown = [&](std::uint64_t count) { return count > seeds_max ? "more than " + std::to_string(seeds_max) : std::to_string(count); };
  std::printf("| %s | %s | %s | %s to %s | %s %llu |\n", std::string(kFaultNames[static_cast<std::size_t>(entry.fault)]).c_str(),
              short_of(what).c_str(), shown(needed[needed.size() / 2]).c_str(), shown(needed.front()).c_str(),
              shown(needed.back()).c_str(), name_of(entry.by), static_cast<unsigned long long>(by));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  bool all = true;
  for (const Entry& entry : kEntries) {
    if (argc > 2 && kFaultNames[static_cast<std::size_t>(entry.fault)] != argv[2]) continue;
    if (argc > 1) {
      measure(entry, std::strtoull(argv[1], nullptr, 10));
    } else {
      all &= test(entry);
    }
  }
  return all ? 0 : 1;
}
