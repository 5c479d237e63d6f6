// Two participants' links without a machine around them: what is sent to a neighbour that rests.
#include "transport/ivshmem/links.h"

#include <doctest/doctest.h>

#include <vector>

#include "transport/ivshmem/test_memory.h"

namespace rse {
namespace {

class Side final : private IvshmemLinks::Surroundings {
 public:
  Side(const RingRegion& region, std::uint32_t slot)
      : self(region, {.slot = slot, .bell = BellKind::kDoorbell}),
        links(self, static_cast<IvshmemLinks::Surroundings&>(*this), {}, callbacks()) {
    Hello hello;
    hello.cluster = {1};
    hello.self = {.node = {slot + 1}, .incarnation = 1, .name = "", .addresses = {}};
    links.set_hello(hello);
  }
  /// Of how many bytes each message was that has come.
  std::vector<std::size_t> look() {
    self.wake();
    while (links.turn() == IvshmemLinks::Turn::kMore) {
    }
    links.look_after();
    return std::exchange(heard_, {});
  }
  int take_rings() { return std::exchange(rings_, 0); }

  Participant self;
  IvshmemLinks links;
  bool up = false;

 private:
  TransportCallbacks callbacks() {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello&) { up = true; };
    callbacks.on_down = [this](NodeId, bool) { up = false; };
    callbacks.on_message = [this](NodeId, std::span<const std::byte> message) { heard_.push_back(message.size()); };
    callbacks.on_failure = [](const std::string&, const std::string& why) { FAIL(why); };
    return callbacks;
  }
  Instant now() const override { return {1}; }
  Instant roughly_now() const override { return {1}; }
  void ring(std::uint32_t) override { ++rings_; }
  void turn_soon() override {}
  void on_appeared(std::uint32_t) override {}
  bool is_gone(std::uint32_t, std::uint32_t) const override { return false; }
  std::string place(std::uint32_t) const override { return "here"; }
  bool encrypted() const override { return false; }
  void show(Hello&) const override {}
  std::string judge(Hello&, const std::string&) const override { return {}; }

  std::vector<std::size_t> heard_;
  int rings_ = 0;
};

}  // namespace

TEST_CASE("links: what is worthless when late wakes no neighbour that rests, and waits there once; what is in order wakes it") {
  testing::TestMemory memory;
  Side one(memory.region(), 0), two(memory.region(), 1);
  for (int turn = 0; turn < 20; ++turn) {
    static_cast<void>(one.look());
    static_cast<void>(two.look());
  }
  REQUIRE(one.up);
  REQUIRE(two.up);
  static_cast<void>(one.take_rings());
  const std::vector<std::byte> beat(100), packet(200);

  REQUIRE(two.self.try_sleep(Sleep::kResting));
  for (int times = 0; times < 5; ++times) CHECK(one.links.send_at_once({2}, beat) == SendResult::kQueued);
  CHECK(one.take_rings() == 0);
  CHECK(one.links.progress({2})->answered == one.links.progress({2})->sent);  // nothing is awaited of it meanwhile
  two.self.wake();
  CHECK(one.links.progress({2})->answered < one.links.progress({2})->sent);
  CHECK(two.look() == std::vector<std::size_t>{100});
  REQUIRE(two.self.try_sleep(Sleep::kResting));
  CHECK(one.links.send_at_once({2}, beat) == SendResult::kQueued);
  CHECK(one.links.send({2}, packet) == SendResult::kQueued);
  CHECK(one.take_rings() == 1);
  CHECK(two.look() == std::vector<std::size_t>{100, 200});

  REQUIRE(two.self.try_sleep());
  CHECK(one.links.send_at_once({2}, beat) == SendResult::kQueued);
  CHECK(one.take_rings() == 1);
  CHECK(two.look() == std::vector<std::size_t>{100});
}

}  // namespace rse
