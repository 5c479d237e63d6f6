#include "node/control_record.h"

#include <doctest/doctest.h>

namespace rse {
namespace {

Packet sealed(std::uint64_t run, std::uint8_t torus, std::uint64_t epoch, std::uint64_t digest, bool injected = false) {
  Packet out;
  out.run = {run};
  out.torus = {torus};
  out.epoch = {epoch};
  out.projection.event_digest = digest;
  if (injected) {
    Injection injection;
    injection.client = {9};
    injection.sequence = epoch;
    out.seal.injections.push_back(injection);
  }
  return out;
}

std::vector<std::uint64_t> epochs_of(const SealRecord& record, std::uint8_t torus, std::size_t count_max = 1000) {
  std::vector<std::uint64_t> epochs;
  for (const auto& entry : record.page({torus}, {0}, count_max).entries) epochs.push_back(entry.epoch.raw);
  return epochs;
}

TEST_CASE("record: pages are in epoch order, carry their seals, and say when there is more") {
  SealRecord record;
  for (std::uint64_t epoch = 0; epoch < 10; ++epoch) record.add(sealed(1, 1, epoch, epoch + 100, epoch % 4 == 0));
  const SealRecord::Page first = record.page({1}, {0}, 6);
  CHECK(first.entries.size() == 6);
  CHECK(first.more);
  CHECK(first.seals.size() == 2);
  const SealRecord::Page rest = record.page({1}, {6}, 6);
  CHECK(rest.entries.size() == 4);
  CHECK_FALSE(rest.more);
  CHECK(rest.seals.size() == 1);
  CHECK(record.page({0}, {0}, 6).entries.empty());
}

TEST_CASE("record: an epoch that is repeated after a loss of all nodes takes everything after it along") {
  SealRecord record;
  for (std::uint64_t epoch = 0; epoch < 8; ++epoch) record.add(sealed(1, 0, epoch, epoch, true));
  record.add(sealed(1, 0, 5, 55));
  CHECK(epochs_of(record, 0) == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5});
  const SealRecord::Page page = record.page({0}, {0}, 100);
  CHECK(page.entries.back().event_digest == 55);
  CHECK(page.seals.size() == 5);
}

TEST_CASE("record: a new run begins empty, an old run's late entry is ignored") {
  SealRecord record;
  record.add(sealed(1, 0, 0, 1));
  record.add(sealed(2, 0, 0, 2));
  record.add(sealed(1, 0, 1, 3));
  CHECK(record.run() == RunId{2});
  CHECK(epochs_of(record, 0) == std::vector<std::uint64_t>{0});
}

TEST_CASE("record: what was written is read back, whatever was torn off its end") {
  SealRecord record;
  Bytes file;
  std::vector<std::size_t> ends;
  for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
    record.add(sealed(3, 2, epoch, epoch * 7, true));
    bool restart = false;
    const Bytes frame = record.take_unwritten(restart);
    CHECK(restart == (epoch == 0));
    file.insert(file.end(), frame.begin(), frame.end());
    ends.push_back(file.size());
  }
  for (std::size_t size = 0; size <= file.size(); ++size) {
    CAPTURE(size);
    SealRecord again;
    const std::size_t whole = again.load(std::span(file).first(size));
    std::size_t frames = 0;
    while (frames < ends.size() && ends[frames] <= size) ++frames;
    CHECK(whole == (frames == 0 ? 0 : ends[frames - 1]));
    CHECK(epochs_of(again, 2).size() == frames);
    CHECK(again.page({2}, {0}, 100).seals.size() == frames);
  }
}

TEST_CASE("record: a flipped bit ends what is read back before it") {
  SealRecord record;
  Bytes file;
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    record.add(sealed(1, 0, epoch, epoch));
    bool restart = false;
    const Bytes frame = record.take_unwritten(restart);
    file.insert(file.end(), frame.begin(), frame.end());
  }
  for (std::size_t at = 0; at < file.size(); ++at) {
    Bytes damaged = file;
    damaged[at] ^= std::byte{0x10};
    SealRecord again;
    CHECK(again.load(damaged) <= at);
    CHECK(epochs_of(again, 0).size() < 3);
  }
}

TEST_CASE("record: the ring keeps the newest digests and counts the others") {
  SealRecord record;
  for (std::uint64_t epoch = 0; epoch < kRecordEpochsMax + 5; ++epoch) {
    record.add(sealed(1, 0, epoch, epoch));
    bool restart = false;
    (void)record.take_unwritten(restart);
  }
  const SealRecord::Page page = record.page({0}, {0}, 1);
  CHECK(page.digests_dropped == 5);
  CHECK(page.entries.front().epoch.raw == 5);
}

}  // namespace
}  // namespace rse
