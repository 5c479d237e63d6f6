#include <chrono>

#include "guest_kernel/drivers/wall_clock.h"

namespace rse::kernel {

std::uint64_t seconds_of(const ClockRegisters& registers) {
  const auto number = [&](std::uint8_t value) { return registers.binary ? unsigned{value} : value / 16u * 10 + value % 16u; };
  unsigned hour = number(registers.hour & 0x7f);
  if (!registers.hours_24) hour = hour % 12 + ((registers.hour & 0x80) != 0 ? 12 : 0);
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(2000 + number(registers.year))),
                                         std::chrono::month(number(registers.month)), std::chrono::day(number(registers.day)));
  if (!date.ok() || hour > 23 || number(registers.minute) > 59 || number(registers.second) > 60) return 0;
  const auto days = static_cast<std::uint64_t>(std::chrono::sys_days(date).time_since_epoch().count());
  return days * 86'400 + hour * 3'600 + number(registers.minute) * 60 + number(registers.second);
}

}  // namespace rse::kernel
