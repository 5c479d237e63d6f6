// The kernel's options, from the command line: words `name=value`, separated by blanks.
// Size: fixed. Threads: none. Memory: words stay in the command line. Errors: a sentence in a buffer of the caller's; the first wrong word decides.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "torus/base/cut_epochs.h"
#include "torus/base/strong.h"

namespace rse::kernel {

inline constexpr std::size_t kPeersMax = 8;

struct Options {
  std::string_view node;           // node=NAME: takes part in a braid under this name
  std::uint64_t id = 0;            // id=HEX: the node's, never used before
  std::uint64_t incarnation = 1;   // incarnation=NUMBER: of the node's lives
  std::uint64_t cluster = 0;       // cluster=HEX: which braid it belongs to
  std::uint64_t found = 0;         // found=1: makes that braid, with this node alone
  std::uint64_t cut_epochs = kCutEpochsMax;  // cut_epochs=NUMBER: of the braid's nodes all, between two cuts at most
  std::optional<std::uint64_t> slot;  // slot=NUMBER: its place in a shared memory whose device does not say it
  // --- Links over a network card instead of a shared memory. ---
  bool net = false;                // net=on
  std::string_view ip;             // ip=ADDRESS/BITS; empty: by DHCP
  std::string_view gateway;        // gateway=ADDRESS
  std::uint64_t listen = 7400;     // listen=PORT
  std::string_view advertise;      // advertise=HOST:PORT: where others reach it, if not at its own address
  std::array<std::string_view, kPeersMax> peers{};  // peer=ADDRESS:PORT, once for each
  std::size_t peer_count = 0;
  std::uint64_t insecure = 0;      // insecure=1: of an open cluster, unencrypted
  std::uint64_t memory_bytes = 0;  // memory=SIZE[K|M|G]: use no more than this; 0: all there is
  std::uint64_t simulate = 0;      // simulate=EPOCHS: run the scenario module's three tori alone, print digests, end
  std::string_view test;           // test=WORD: of an image of tests, only those with WORD in their names
};

using OptionsFailure = std::array<char, 512>;

/// False: `failure` says which word is wrong and what would be right.
bool parse_options(std::string_view command_line, Options& out, OptionsFailure& failure);

}  // namespace rse::kernel
