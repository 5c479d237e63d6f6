#include "torus/engine/program_args.h"

namespace rse {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view digits) {
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    const auto units = static_cast<std::uint64_t>(digit - '0');
    if (value > (~std::uint64_t{0} - units) / 10) return std::nullopt;
    value = value * 10 + units;
  }
  return value;
}

}  // namespace

std::optional<ProgramArgs::Argument> ProgramArgs::next() {
  while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  if (failed_ || rest_.empty()) return std::nullopt;
  const std::string_view word = rest_.substr(0, rest_.find(' '));
  rest_.remove_prefix(word.size());
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) return Argument{word, std::nullopt};
  const auto value = parse_number(word.substr(equals + 1));
  if (!value) {
    failed_ = true;
    return std::nullopt;
  }
  return Argument{word.substr(0, equals), value};
}

}  // namespace rse
