#include "guest_kernel/boot/options.h"

#include <algorithm>

namespace rse::kernel {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::size_t kNodeNameLettersMax = 64;
constexpr std::string_view kKnown =
    "node=NAME, id=HEX, incarnation=NUMBER, cluster=HEX, found=0|1, cut_epochs=NUMBER, slot=NUMBER, net=on, ip=ADDRESS/BITS, gateway=ADDRESS, listen=PORT, "
    "advertise=HOST:PORT, peer=ADDRESS:PORT, insecure=0|1, memory=SIZE (with K, M or G), simulate=EPOCHS, test=WORD";

bool parse_number(std::string_view text, std::uint64_t& out) {
  if (text.empty()) return false;
  std::uint64_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return false;
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(digit - '0'), &value)) {
      return false;
    }
  }
  out = value;
  return true;
}

bool parse_size(std::string_view text, std::uint64_t& out) {
  std::uint64_t unit = 1;
  if (text.ends_with('K')) unit = 1ull << 10;
  if (text.ends_with('M')) unit = 1ull << 20;
  if (text.ends_with('G')) unit = 1ull << 30;
  if (unit != 1) text.remove_suffix(1);
  return parse_number(text, out) && !__builtin_mul_overflow(out, unit, &out) && out != 0;
}

/// 1 to 16 digits.
bool parse_hex(std::string_view text, std::uint64_t& out) {
  if (text.empty() || text.size() > 16) return false;
  out = 0;
  for (const char letter : text) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(letter);
    if (digit == std::string_view::npos) return false;
    out = out << 4 | digit;
  }
  return true;
}

/// Puts the parts one after the other, cut where the buffer ends.
void say(OptionsFailure& failure, std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) {
    const std::size_t fits = std::min(part.size(), failure.size() - 1 - size);
    std::copy_n(part.begin(), fits, failure.begin() + size);
    size += fits;
  }
  failure[size] = 0;
}

/// Of links over a network. False: it is none of these.
bool parse_network_word(std::string_view name, std::string_view value, Options& out, std::string_view& wanted) {
  if (name == "net") {
    out.net = value == "on";
    if (!out.net && value != "off") wanted = "on or off";
  } else if (name == "ip") {
    out.ip = value;
    if (value.find('/') == std::string_view::npos) wanted = "an address and the bits of its network, such as 10.0.2.15/24";
  } else if (name == "gateway") {
    out.gateway = value;
  } else if (name == "listen") {
    if (!parse_number(value, out.listen) || out.listen == 0 || out.listen > 65'535) wanted = "a port from 1 to 65535";
  } else if (name == "advertise") {
    out.advertise = value;
  } else if (name == "peer") {
    if (value.empty() || out.peer_count == kPeersMax) {
      wanted = "ADDRESS:PORT, at most 8 times";
    } else {
      out.peers[out.peer_count++] = value;
    }
  } else if (name == "insecure") {
    if (!parse_number(value, out.insecure) || out.insecure > 1) wanted = "0 or 1";
  } else {
    return false;
  }
  return true;
}

bool parse_word(std::string_view word, Options& out, OptionsFailure& failure) {
  const std::size_t equals = std::min(word.find('='), word.size());
  const std::string_view name = word.substr(0, equals);
  const std::string_view value = word.substr(std::min(equals + 1, word.size()));
  std::string_view wanted;
  if (name == "node") {
    out.node = value;
    if (value.empty() || value.size() > kNodeNameLettersMax) wanted = "a name of 1 to 64 letters";
  } else if (name == "id") {
    if (!parse_hex(value, out.id) || out.id == 0) wanted = "1 to 16 hexadecimal digits, not 0";
  } else if (name == "incarnation") {
    if (!parse_number(value, out.incarnation) || out.incarnation == 0) wanted = "a number from 1 on";
  } else if (name == "cluster") {
    if (!parse_hex(value, out.cluster) || out.cluster == 0) wanted = "1 to 16 hexadecimal digits, not 0";
  } else if (name == "found") {
    if (!parse_number(value, out.found) || out.found > 1) wanted = "0 or 1";
  } else if (name == "cut_epochs") {
    if (!parse_number(value, out.cut_epochs) || out.cut_epochs < kCutEpochsMin || out.cut_epochs > kCutEpochsMax) wanted = "a number from 4 to 256";
  } else if (name == "slot") {
    std::uint64_t slot = 0;
    if (!parse_number(value, slot)) wanted = "a number";
    out.slot = slot;
  } else if (name == "memory") {
    if (!parse_size(value, out.memory_bytes)) wanted = "a size such as 256M or 1G";
  } else if (name == "simulate") {
    if (!parse_number(value, out.simulate)) wanted = "a number of epochs";
  } else if (name == "test") {
    out.test = value;
    if (value.empty()) wanted = "a word from a test's name";
  } else if (!parse_network_word(name, value, out, wanted)) {
    say(failure, {"kernel option \"", word.substr(0, 64), "\" is unknown; there are ", kKnown});
    return false;
  }
  if (wanted.empty()) return true;
  say(failure, {"kernel option ", name, " cannot be \"", value.substr(0, 64), "\"; give ", wanted});
  return false;
}

}  // namespace

bool parse_options(std::string_view command_line, Options& out, OptionsFailure& failure) {
  for (;;) {
    const std::size_t begin = command_line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return true;
    command_line.remove_prefix(begin);
    const std::size_t end = std::min(command_line.find_first_of(kBlanks), command_line.size());
    if (!parse_word(command_line.substr(0, end), out, failure)) return false;
    command_line.remove_prefix(end);
  }
}

}  // namespace rse::kernel
