#include "node/rse_import.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "node/import/dpkg.h"
#include "node/import/edge_list.h"
#include "node/import/partition.h"
#include "node/scenario_text.h"

namespace rse {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct ImportFlags {
  std::string edges;
  std::string dpkg;
  bool from_dpkg = false;
  std::string out = "-";
  std::string names;
  ImportOptions options;
};

int fail(const std::string& sentence, int code = kFailed) {
  std::fprintf(stderr, "rse import: %s\n", sentence.c_str());
  return code;
}

/// Empty, or why not.
std::string write_text(const std::string& path, const std::string& text) {
  std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "w");
  if (file == nullptr) return "cannot write " + path + ": " + std::strerror(errno);
  const bool written =
      std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
  const int error = errno;
  if (file != stdout) std::fclose(file);
  return written ? "" : "cannot write " + path + ": " + std::strerror(error);
}

std::optional<ImportedScenario> import(const ImportFlags& flags, std::string& failure) {
  if (flags.from_dpkg) return import_packages(flags.dpkg, flags.options, failure);
  const auto text = read_text_file(flags.edges, failure);
  if (!text) return std::nullopt;
  const auto graph = parse_edge_list(*text, flags.edges, failure);
  return graph ? import_graph(*graph, flags.options, failure) : std::nullopt;
}

int run_import(ImportFlags& flags) {
  if (flags.from_dpkg != flags.edges.empty())
    return fail("give a file of edges, or --dpkg, not both", kUsage);
  if (flags.dpkg.empty()) flags.dpkg = kDpkgStatusFile;
  std::string failure;
  const auto imported = import(flags, failure);
  if (!imported) return fail(failure);
  const std::string source = flags.from_dpkg ? flags.dpkg : flags.edges;
  const std::string text =
      "# Made by `rse import` from " + source + ".\n" + to_text(imported->scenario);
  if (failure = write_text(flags.out, text); !failure.empty()) return fail(failure);
  if (!flags.names.empty()) {
    if (failure = write_text(flags.names, imported->names); !failure.empty()) return fail(failure);
  }
  std::fprintf(stderr, "%s: %zu cells, %zu edges -> %s\n", source.c_str(),
               imported->scenario.processes.size(), imported->scenario.edges.size(),
               flags.out == "-" ? "stdout" : flags.out.c_str());
  return kDone;
}

}  // namespace

void add_import_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* const command =
      app.add_subcommand("import", "makes a scenario from a network that exists");
  command->add_option("edges", flags->edges,
                      "one edge a line: from<TAB>to[<TAB>delay]; - is stdin");
  CLI::Option* const dpkg = command->add_option(
      "--dpkg", flags->dpkg,
      "the packages of a dpkg status file [" + std::string(kDpkgStatusFile) + "]");
  dpkg->expected(0, 1);
  command->add_option("--out", flags->out, "the scenario as text; - is stdout")
      ->capture_default_str();
  command->add_option("--names", flags->names, "writes a line cell<TAB>name for each name");
  command->add_option("--epoch-ticks", flags->options.epoch_ticks, "length of an epoch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--inject", flags->options.starts,
                   "the scenario starts a wave at this name; repeatable")
      ->type_size(1)
      ->allow_extra_args(false);
  command->callback([flags, dpkg, &exit_code] {
    flags->from_dpkg = dpkg->count() > 0;
    exit_code = run_import(*flags);
  });
}

}  // namespace rse
