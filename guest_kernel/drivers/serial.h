// COM1: text out, letters in. National Semiconductor PC16550D datasheet, 8.0.
// Size: a ring of 256 letters. Threads: writing from any, also from handlers and reports, therefore by polling; letters come by
// interrupt. Memory: static. Errors: a port that never gets ready is given up on; letters that nobody reads are dropped.
#pragma once

#include <optional>
#include <string_view>

namespace rse::kernel {

/// 115,200 baud, 8N1, FIFOs on, and a console.
void start_serial();
/// After interrupts work: letters wake the processor.
void listen_to_serial();
std::optional<char> read_serial();

}  // namespace rse::kernel
