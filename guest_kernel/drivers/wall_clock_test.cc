#include "guest_kernel/drivers/wall_clock.h"

#include "guest_kernel/test/test.h"

using namespace rse::kernel;

TEST_CASE("wall clock: decimal and binary registers, 12 and 24 hours are the same moment") {
  const std::uint64_t moment = 1'795'706'730;  // 2026-11-26 15:25:30 UTC
  CHECK(seconds_of({.second = 0x30, .minute = 0x25, .hour = 0x15, .day = 0x26, .month = 0x11, .year = 0x26}) == moment);
  CHECK(seconds_of({.second = 30, .minute = 25, .hour = 15, .day = 26, .month = 11, .year = 26, .binary = true}) == moment);
  CHECK(seconds_of({.second = 30, .minute = 25, .hour = 0x83, .day = 26, .month = 11, .year = 26, .binary = true, .hours_24 = false}) == moment);
  CHECK(seconds_of({.hour = 0x12, .day = 1, .month = 1, .hours_24 = false}) == 946'684'800);  // midnight is 12 of the first half
}

TEST_CASE("wall clock: registers that make no sense are long ago") {
  CHECK(seconds_of({}) == 0);
  CHECK(seconds_of({.hour = 0x24, .day = 1, .month = 1}) == 0);
  CHECK(seconds_of({.day = 0x30, .month = 0x02, .year = 0x26}) == 0);
  CHECK(seconds_of({.second = 0xff, .minute = 0xff, .hour = 0xff, .day = 0xff, .month = 0xff, .year = 0xff}) == 0);
}
