#include "node/history/story.h"

#include <doctest/doctest.h>

using namespace rse;
using Record = v1::IncidentRecord;

namespace {

constexpr std::uint64_t kA = 10, kB = 11, kC = 12;
const NodeNames kNames{{kA, "a"}, {kB, "b"}, {kC, "c"}};

/// The history of one node; a record a millisecond mark.
class Diary {
 public:
  explicit Diary(std::uint64_t node) { reply_.set_node(node); }
  Diary& at(std::uint64_t milliseconds, Record::Kind kind, std::uint64_t node, std::optional<std::uint32_t> torus = {}) {
    Record& record = *reply_.add_incidents();
    record.set_unix_nanoseconds(1'700'000'000'000'000'000 + milliseconds * 1'000'000);
    record.set_kind(kind);
    record.set_node(node);
    if (torus) record.set_torus(*torus);
    record.set_number(static_cast<std::uint64_t>(reply_.incidents_size()));
    record.set_text(Record::Kind_Name(kind));
    return *this;
  }
  /// All that another node has told this one.
  Diary& told(const Diary& other) {
    for (Record record : other.reply_.incidents()) {
      record.set_by(other.reply_.node());
      *reply_.add_incidents() = record;
    }
    return *this;
  }
  const v1::HistoryReply& reply() const { return reply_; }

 private:
  v1::HistoryReply reply_;
};

std::vector<Story> stories_of(const std::vector<Diary>& diaries) {
  std::vector<v1::HistoryReply> histories;
  for (const Diary& diary : diaries) histories.push_back(diary.reply());
  return find_stories(put_together(histories));
}

Diary survivor_a() {
  Diary a(kA);
  a.at(0, Record::RUN_STARTED, kA).at(100, Record::PEER_SUSPECTED, kB).at(130, Record::PEER_LOST, kB).at(140, Record::VIEW_INSTALLED, kA);
  return a;
}

Diary survivor_c() {
  Diary c(kC);
  c.at(101, Record::PEER_SUSPECTED, kB).at(131, Record::PEER_LOST, kB).at(141, Record::VIEW_INSTALLED, kC);
  c.at(142, Record::REBUILD_STARTED, kC, 1).at(150, Record::REBUILD_REPLAYING, kC, 1).at(170, Record::REBUILT, kC, 1);
  c.at(184, Record::FIRST_EPOCH, kC, 1);
  return c;
}

}  // namespace

TEST_CASE("story: a death that two nodes have seen is one story, with the phases of whoever rebuilt") {
  const std::vector<Story> stories = stories_of({survivor_a(), survivor_c()});
  REQUIRE(stories.size() == 1);
  const Story& story = stories[0];
  CHECK(tell(story, kNames) == "b died: torus B grew back on c in 84 ms");
  CHECK(story.witness == kA);
  CHECK(story.number == 3);
  const double expected[] = {30, 40, 50, 70, 84};
  for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
    CAPTURE(phase);
    CHECK(story.ends[phase].value_or(-1) == doctest::Approx(expected[phase]));
  }
}

TEST_CASE("story: the history of a node that rebuilt nothing tells of the death, not of its end") {
  const std::vector<Story> stories = stories_of({survivor_a()});
  REQUIRE(stories.size() == 1);
  CHECK(!stories[0].over);
  CHECK(tell(stories[0], kNames) == "b died; no torus had to be rebuilt");
}

TEST_CASE("story: what a node that nobody can ask has told a neighbour is part of the neighbour's story, and counts once") {
  Diary a = survivor_a();
  const Diary c = survivor_c();
  a.told(c);
  const std::vector<Story> alone = stories_of({a});
  REQUIRE(alone.size() == 1);
  CHECK(tell(alone[0], kNames) == "b died: torus B grew back on c in 84 ms");
  CHECK(alone[0].witness == kA);
  CHECK(put_together({a.reply(), c.reply()}).size() == put_together({survivor_a().reply(), c.reply()}).size());
}

TEST_CASE("story: a guest that has joined again, as a neighbour was told, may die again") {
  Diary guest(kB);
  guest.at(2000, Record::JOINED, kB);
  Diary a = survivor_a();
  a.told(guest).at(3000, Record::PEER_LOST, kB);
  CHECK(stories_of({a}).size() == 2);
}

TEST_CASE("story: two tori of one node end with the later one") {
  Diary c(kC);
  c.at(100, Record::PEER_LOST, kB).at(105, Record::VIEW_INSTALLED, kC).at(110, Record::REBUILD_STARTED, kC, 1);
  c.at(111, Record::REBUILD_STARTED, kC, 2).at(130, Record::FIRST_EPOCH, kC, 1).at(150, Record::FIRST_EPOCH, kC, 2);
  const std::vector<Story> stories = stories_of({c});
  REQUIRE(stories.size() == 1);
  CHECK(tell(stories[0], {}) == "000000000000000b died: tori B and C grew back on 000000000000000c in 50 ms");
}

TEST_CASE("story: a suspicion that passed, or was of somebody else, is not where a death begins") {
  Diary a(kA);
  a.at(0, Record::PEER_SUSPECTED, kB).at(20, Record::PEER_HEARD_AGAIN, kB).at(60, Record::PEER_SUSPECTED, kC).at(100, Record::PEER_LOST, kB);
  const std::vector<Story> stories = stories_of({a});
  REQUIRE(stories.size() == 1);
  CHECK(stories[0].ends[0].value_or(-1) == doctest::Approx(0));
}

TEST_CASE("story: a suspicion that was withdrawn is no beginning; one beside another's suspicion is") {
  Diary withdrawn(kA);
  withdrawn.at(0, Record::PEER_SUSPECTED, kB).at(20, Record::PEER_HEARD_AGAIN, kB).at(100, Record::PEER_LOST, kB);
  REQUIRE(stories_of({withdrawn}).size() == 1);
  CHECK(stories_of({withdrawn})[0].ends[0].value_or(-1) == doctest::Approx(0));
  Diary both(kA);
  both.at(0, Record::PEER_SUSPECTED, kB).at(10, Record::PEER_SUSPECTED, kC).at(15, Record::PEER_HEARD_AGAIN, kC).at(30, Record::PEER_LOST, kB);
  REQUIRE(stories_of({both}).size() == 1);
  CHECK(stories_of({both})[0].ends[0].value_or(-1) == doctest::Approx(30));
}

TEST_CASE("story: who dies, returns and dies again within seconds has two stories") {
  Diary a(kA);
  a.at(100, Record::PEER_LOST, kB).at(110, Record::REBUILD_STARTED, kA, 1).at(150, Record::FIRST_EPOCH, kA, 1);
  a.at(6100, Record::PEER_LOST, kB);
  Diary b(kB);
  b.at(3000, Record::JOINED, kB);
  CHECK(stories_of({a, b}).size() == 2);
  Diary c(kC);
  c.at(6105, Record::PEER_LOST, kB);  // the second death, told once more
  CHECK(stories_of({a, b, c}).size() == 2);
  CHECK(stories_of({a}).size() == 1);  // nobody told of its return: more likely a late word about the same death
}
