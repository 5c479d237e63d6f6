// The kernel's options, from the command line: words `name=value`, separated by blanks.
// Size: fixed. Threads: none. Memory: words stay in the command line. Errors: a sentence in a buffer of the caller's; the first wrong word decides.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "torus/base/strong.h"

namespace rse::kernel {

struct Options {
  std::optional<TorusId> torus;    // torus=A|B|C: which one this guest is meant to host
  std::uint64_t cluster = 0;       // cluster=NUMBER: which braid it belongs to; 0: not given
  std::uint64_t memory_bytes = 0;  // memory=SIZE[K|M|G]: use no more than this; 0: all there is
  std::uint64_t simulate = 0;      // simulate=EPOCHS: run the scenario module's three tori alone, print digests, end
  std::string_view test;           // test=WORD: of an image of tests, only those with WORD in their names
};

using OptionsFailure = std::array<char, 256>;

/// False: `failure` says which word is wrong and what would be right.
bool parse_options(std::string_view command_line, Options& out, OptionsFailure& failure);

}  // namespace rse::kernel
