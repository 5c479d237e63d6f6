// Schedules from seeds: those that once found a bug, by name, and a sweep. Replay one with braid_sim --seed S.
#include <doctest/doctest.h>

#include "tests/sim/duel.h"
#include "tests/sim/many_runs.h"
#include "tests/sim/stories.h"

using namespace rse::sim;

TEST_CASE("schedules: what once broke a promise does not any more") {
  // 12, 28, 66: a removal or a first cut that left nobody with all of a torus. 34, 2: five voters of whom three live.
  // 52, 93: seals that only disks hold, forgotten by the second gather after a resumption. 412, 715: a resumed run begun again
  // from the scenario. 557: a cut from a future that a resumption took back. 543: logs replaced that another torus here needs.
  // 155, 163: a resumption from a cut that was not copied yet. 564: healthy by heartbeats alone, which a restart forgets.
  // 1764, 1877: half a cut in the place of a whole one.
  // 2623, 3126: logs replaced under a machine that was being got ready. 3948: a run "ended" that a joining node only learnt of.
  // 456, 3089, 4734: cuts and packets of different ages, never asked for together. 1151: both tori of a node that died, each
  // rebuilt by somebody who could not tell what the other had sent. 2714, 5977: a seal in the record that only its host held.
  // 3994: a cut of a future that two resumptions before had taken back. 1955: a resumption from a cut that only a node had that
  // was no holder. 1916, 2420: a removal that was accepted and forgotten came after the next failure. 1943, 1957: votes for nodes
  // that had died. 2125, 4773, 5193: a holder removed a moment before another one was lost for good.
  // 1259: a request answered "accepted" that the torus passed over, since its client had gone on. 2124: a gather that needed older
  // packets than our own log of another torus here. 5881, 6284: a new host whose log began behind what another host wanted.
  // 12812, 17507: a run ended before it had said again what a resumption took back (an error of the judge). 15036: a cut beyond
  // the packets that another torus of the same host still waited for. 1735: a resumption proposed in a silence, decided after the
  // run had gone on to a durable cut. 4976: a new host without the first epoch of a run, which another host still lacked.
  // 26893: the newest cut was with one holder only, and the older whole one was not asked for. 25449, 3794: a resumption that counted
  // on a node which had died since. 20610, 4163: a run began with a scenario that its holders had put away for a newer offer. 6515: a
  // gather that took the silence of a host it had not asked for proof that there was nothing. 11758: logs replaced for one torus by
  // later packets, while another here waited for earlier ones. 7538: inputs that a resumption had taken back (an error of the judge).
  // 1739: a host of long ago that nobody had asked gave out what it had sealed alone as the word of the newest view that it had seen.
  // 89205: an input from another torus of the same host, which nobody else held yet.
  // 4006681, 4123189: a new host that was given the packets since the newest cut of its torus, while another had no cut yet and needed
  // all. 4003791, 4005855: a cut of which the hosts had all, let go by the holder on whom the view counted instead. 4001675: tori copied
  // at different cuts, called settled: a resumption found no cut of all three. 4119846: what follows from an input that a resumption
  // replaced (an error of the judge). 4224563: a resumption from a cut that only memories held, which the next loss of power took.
  // 2034683, 2040277: a node that had come back answered a new host for its earlier life, whose memory had held what was acknowledged.
  // 2072923: a host asked in one view and again in the next began with the answers of the first. 2109412: of many cuts since the durable
  // one, nodes named only the oldest after a loss of power: none of torus C. 2623895: a node that was paused during a resumption
  // tells of an epoch as it was before (an error of the judge).
  for (const std::uint64_t seed : {2, 12, 28, 34, 52, 66, 93, 155, 163, 412, 456, 543, 557, 564, 715, 1151, 1259, 1735, 1739, 1764,
                                   1877, 1916, 1943, 1955, 1957, 2124, 2125, 2420, 2623, 2714, 3089, 3126, 3794, 3948, 3994, 4163,
                                   4734, 4773, 4976, 5193, 5881, 5977, 6284, 6515, 7538, 11758, 12812, 15036, 17507, 20610, 25449,
                                   26893, 89205, 4001675, 4003791, 4005855, 4006681, 4119846, 4123189, 4224563,
                                   2034683, 2040277, 2072923, 2109412, 2623895}) {
    CAPTURE(seed);
    const Schedule schedule = make_schedule(seed);
    CHECK(run_apart(schedule, all_steps(schedule)) == "");
  }
}

TEST_CASE("schedules: a torus that is idle and then waits for something else keeps nobody busy") {
  for (const std::uint64_t seed : {644, 771}) {  // 16 million actions, when a deadline that was over stayed the next one
    CAPTURE(seed);
    CHECK(run_schedule(make_schedule(seed)).actions < 500'000);
  }
}

TEST_CASE("schedules: the same seed gives the same run") {
  for (const std::uint64_t seed : {1, 4, 8}) {
    CAPTURE(seed);
    const Outcome once = run_schedule(make_schedule(seed)), again = run_schedule(make_schedule(seed));
    CHECK(once.actions == again.actions);
    CHECK(once.messages == again.messages);
    CHECK(once.simulated == again.simulated);
  }
}

TEST_CASE("schedules: clusters without disks keep every promise, whatever the seed") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const Schedule schedule = make_schedule(seed);
    if (schedule.cluster.durable) continue;
    CAPTURE(seed);
    REQUIRE(run_apart(schedule, all_steps(schedule)) == "");
  }
}

TEST_CASE("stories: proposers that outbid each other decide one value") {
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    CAPTURE(seed);
    REQUIRE(duel(seed) == "");
  }
}

TEST_CASE("stories: who has an answer has it after a loss of all power at that moment") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    REQUIRE(blackout(seed) == "");
  }
}

TEST_CASE("stories: the last packets of a dead host mean nothing to those who have given its torus away") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    REQUIRE(latecomers(seed) == "");
  }
}
