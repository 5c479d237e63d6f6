#include "node/import/dpkg.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <vector>

namespace rse {

namespace {

/// One stanza, views into the text.
struct Package {
  std::string_view name;
  std::string_view status;
  std::string_view architecture;
  std::string_view depends;
  std::string_view pre_depends;
  std::string_view provides;
  std::uint64_t installed_kib = 0;
  std::size_t line = 0;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    if (const std::string_view part = trimmed(text.substr(0, end)); !part.empty())
      parts.push_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// "Status: install ok installed": the third word. A package that only waits for a trigger works.
bool is_installed(const Package& package) {
  const std::vector<std::string_view> words = split(package.status, ' ');
  return words.size() == 3 && (words[2] == "installed" || words[2] == "triggers-pending" ||
                               words[2] == "triggers-awaited");
}

struct Relation {
  std::string_view name;
  std::string_view architecture;  // empty, "any", "native" or a name
};

/// "libc6:any (>= 2.36) [amd64]" without what follows the name.
Relation parse_relation(std::string_view text) {
  const std::string_view word = text.substr(0, text.find_first_of(" \t\n([<"));
  const std::size_t colon = word.find(':');
  if (colon == std::string_view::npos) return {word, {}};
  return {word.substr(0, colon), word.substr(colon + 1)};
}

void set_field(Package& package, std::string_view field, std::string_view value) {
  if (field == "Package") package.name = trimmed(value);
  if (field == "Status") package.status = trimmed(value);
  if (field == "Architecture") package.architecture = trimmed(value);
  if (field == "Depends") package.depends = value;
  if (field == "Pre-Depends") package.pre_depends = value;
  if (field == "Provides") package.provides = value;
  if (field == "Installed-Size") {
    const std::string_view number = trimmed(value);
    std::from_chars(number.data(), number.data() + number.size(), package.installed_kib);
  }
}

/// Takes one field with its continuation lines (those that begin with a blank) off the front of
/// `rest`; the value spans them all.
bool take_field(std::string_view& rest, std::size_t& line, std::string_view& field,
                std::string_view& value) {
  const std::size_t colon = rest.find_first_of(":\n");
  if (colon == std::string_view::npos || rest[colon] != ':' || colon == 0) return false;
  field = rest.substr(0, colon);
  std::size_t end = colon;
  do {
    end = std::min(rest.find('\n', end + 1), rest.size());
    ++line;
  } while (end + 1 < rest.size() && (rest[end + 1] == ' ' || rest[end + 1] == '\t'));
  value = rest.substr(colon + 1, end - colon - 1);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return true;
}

std::optional<std::vector<Package>> parse_stanzas(std::string_view text, const std::string& file,
                                                  std::string& failure) {
  std::vector<Package> packages;
  Package package;
  std::size_t line = 1;
  const auto finish = [&] {
    if (!package.name.empty() && is_installed(package)) packages.push_back(package);
    package = {};
  };
  while (!text.empty()) {
    if (text.front() == '\n') {
      finish();
      text.remove_prefix(1);
      ++line;
      continue;
    }
    const std::size_t at = line;
    std::string_view field;
    std::string_view value;
    if (!take_field(text, line, field, value)) {
      failure = file + ":" + std::to_string(at) +
                ": no field of a package (\"Name: value\"); is this a dpkg status file?";
      return std::nullopt;
    }
    if (package.line == 0) package.line = at;
    set_field(package, field, value);
  }
  finish();
  if (packages.empty()) {
    failure = file + ": no installed package in it; give the status file of a Debian system";
    return std::nullopt;
  }
  return packages;
}

/// Who can stand for a name: packages of that name and those that provide it.
using Index = std::multimap<std::string_view, std::size_t>;

Index index_of_names(const std::vector<Package>& packages) {
  Index index;
  for (std::size_t i = 0; i < packages.size(); ++i) {
    index.emplace(packages[i].name, i);
    for (const std::string_view provided : split(packages[i].provides, ',')) {
      index.emplace(parse_relation(provided).name, i);
    }
  }
  return index;
}

bool suits(const Package& candidate, std::string_view architecture) {
  return candidate.architecture == architecture || candidate.architecture == "all";
}

/// The installed packages that satisfy one alternative of `dependent`. Of several architectures the
/// wanted one; if only others are there, those (Multi-Arch: foreign).
std::set<std::size_t> candidates(const std::vector<Package>& packages, const Index& index,
                                 const Package& dependent, const Relation& relation,
                                 std::string_view native) {
  std::string_view wanted = relation.architecture;
  if (wanted.empty() || wanted == "any") wanted = dependent.architecture;
  if (wanted == "all" || wanted == "native") wanted = native;
  std::set<std::size_t> all;
  std::set<std::size_t> suiting;
  const auto [begin, end] = index.equal_range(relation.name);
  for (auto at = begin; at != end; ++at) {
    all.insert(at->second);
    if (suits(packages[at->second], wanted)) suiting.insert(at->second);
  }
  return suiting.empty() ? all : suiting;
}

std::string_view native_architecture(const std::vector<Package>& packages) {
  for (const Package& package : packages) {
    if (package.name == "dpkg") return package.architecture;
  }
  for (const Package& package : packages) {
    if (package.architecture != "all") return package.architecture;
  }
  return "all";
}

std::uint32_t delay_of(const Package& dependent) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(1 + dependent.installed_kib / 64, kDpkgDelayMax));
}
}  // namespace

std::optional<Graph> parse_dpkg_status(std::string_view text, const std::string& file,
                                       std::string& failure) {
  const auto packages = parse_stanzas(text, file, failure);
  if (!packages) return std::nullopt;
  const Index index = index_of_names(*packages);
  const std::string_view native = native_architecture(*packages);

  GraphBuilder builder;
  std::vector<std::uint32_t> nodes;
  for (const Package& package : *packages) {
    std::string name(package.name);
    if (!suits(package, native)) name += ":" + std::string(package.architecture);
    nodes.push_back(builder.node(name));
    if (builder.size() != nodes.size()) {
      failure = file + ":" + std::to_string(package.line) + ": a second package \"" + name +
                "\"; repair the database first";
      return std::nullopt;
    }
  }
  for (std::size_t i = 0; i < packages->size(); ++i) {
    const Package& dependent = (*packages)[i];
    std::set<std::size_t> needed;
    for (const std::string_view field : {dependent.pre_depends, dependent.depends}) {
      for (const std::string_view clause : split(field, ',')) {
        for (const std::string_view alternative : split(clause, '|')) {
          needed.merge(
              candidates(*packages, index, dependent, parse_relation(alternative), native));
        }
      }
    }
    needed.erase(i);
    for (const std::size_t other : needed)
      builder.edge(nodes[other], nodes[i], delay_of(dependent));
  }
  return builder.take();
}

}  // namespace rse
