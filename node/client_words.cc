#include "node/client_words.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

namespace rse {
namespace {

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::optional<TorusId> parse_torus(std::string_view text) {
  if (text.size() != 1) return std::nullopt;
  const char c = text[0];
  if (c >= 'A' && c <= 'C') return TorusId{static_cast<std::uint8_t>(c - 'A')};
  if (c >= 'a' && c <= 'c') return TorusId{static_cast<std::uint8_t>(c - 'a')};
  return std::nullopt;
}

std::optional<CellId> parse_cell(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<TorusId> torus = parse_torus(text.substr(0, colon));
  const std::vector<std::string_view> parts = split(text.substr(colon + 1), ',');
  if (!torus || parts.size() != 3) return std::nullopt;
  std::array<std::int32_t, 3> at{};
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto value = parse_number<std::int32_t>(parts[i]);
    if (!value) return std::nullopt;
    at[i] = *value;
  }
  return cell_at(*torus, at[0], at[1], at[2]);
}

std::string cell_text(CellId cell) {
  const std::uint32_t index = index_of(cell);
  return fmt::format("{}:{},{},{}", letter_of(torus_of(cell)), index / 1024, index / 32 % 32, index % 32);
}

std::string hex16(std::uint64_t value) { return fmt::format("{:016x}", value); }

std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string CellNames::read(const std::string& path) {
  std::ifstream file(path);
  if (!file) return "cannot read " + path + ": " + std::strerror(errno);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::optional<CellId> cell;
    std::optional<std::string_view> name;
    for (const std::string_view column : split(line, '\t')) {
      std::optional<CellId> as_cell = parse_cell(column);
      if (const auto global = parse_number<std::uint32_t>(column); !as_cell && global && *global < 3 * kCellCount)
        as_cell = CellId{*global};
      if (as_cell && !cell)
        cell = as_cell;
      else if (!name)
        name = column;
    }
    if (!cell || !name)
      return fmt::format("{}:{}: no cell (A:1,2,3) and name in \"{}\"", path, number, line);
    cells_.emplace(*name, *cell);
    names_.emplace(*cell, *name);
  }
  return {};
}

std::optional<CellId> CellNames::cell_of(std::string_view name) const {
  const auto at = cells_.find(name);
  if (at == cells_.end()) return std::nullopt;
  return at->second;
}

std::string CellNames::name_of(CellId cell) const {
  const auto at = names_.find(cell);
  return at == names_.end() ? cell_text(cell) : at->second;
}

int report(const ControlFailure& failure) {
  std::fprintf(stderr, "rse: %s\n", failure.text.c_str());
  return failure.exit_code;
}

}  // namespace rse
