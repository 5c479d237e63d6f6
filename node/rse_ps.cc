// rse ps, rse reached, rse outputs: what lives in the tori and what they have put out. Each torus is read at an epoch boundary by
// the node that hosts it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "node/client_cluster_access.h"
#include "node/client_words.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

struct PsFlags {
  std::vector<std::string> control;
  std::string torus;
  std::string names;
  std::uint32_t limit = 0;
  std::uint64_t from_number = 0;
  bool json = false;
};

std::optional<std::vector<TorusId>> wanted_tori(const PsFlags& flags, int& exit_code) {
  if (flags.torus.empty()) return std::vector<TorusId>{{0}, {1}, {2}};
  if (const auto torus = parse_torus(flags.torus)) return std::vector<TorusId>{*torus};
  fmt::print(stderr, "rse: there is no torus \"{}\": they are A, B and C\n", flags.torus);
  exit_code = kExitUsage;
  return std::nullopt;
}

std::optional<v1::PsReply> ask_ps(const PsFlags& flags, TorusId torus, std::uint32_t limit, ControlFailure& failure) {
  auto client = connect_to_host(torus, flags.control, failure);
  if (!client) return std::nullopt;
  v1::ControlRequest request;
  request.mutable_ps()->set_torus(torus.raw);
  request.mutable_ps()->set_count_max(limit);
  v1::ControlReply reply;
  if (!client->ask(request, reply, failure)) return std::nullopt;
  return reply.ps();
}

bool read_names(const PsFlags& flags, CellNames& names, int& exit_code) {
  if (flags.names.empty()) return true;
  const std::string failure = names.read(flags.names);
  if (failure.empty()) return true;
  fmt::print(stderr, "rse: {}\n", failure);
  exit_code = kExitUsage;
  return false;
}

int ps(const PsFlags& flags) {
  int code = kExitDone;
  CellNames names;
  const auto tori = wanted_tori(flags, code);
  if (!tori || !read_names(flags, names, code)) return code;
  if (!flags.json) fmt::print("{:<18} {:<12} {:<10} {:>12}  {}\n", "PID", "CELL", "PROGRAM", "VALUE", flags.names.empty() ? "" : "NAME");
  for (const TorusId torus : *tori) {
    ControlFailure failure;
    const auto reply = ask_ps(flags, torus, flags.limit, failure);
    if (!reply) return report(failure);
    for (const v1::PsReply::Process& process : reply->processes()) {
      const CellId cell{process.cell()};
      if (flags.json)
        fmt::print("{{\"pid\":\"{:x}\",\"cell\":\"{}\",\"program\":\"{}\",\"value\":{}}}\n", process.pid(), cell_text(cell),
                   process.program(), process.value());
      else
        fmt::print("{:<18x} {:<12} {:<10} {:>12}  {}\n", process.pid(), cell_text(cell), process.program(),
                   process.value(), flags.names.empty() ? "" : names.name_of(cell));
    }
    const auto shown = static_cast<std::uint64_t>(reply->processes_size());
    if (shown < reply->count_total())
      fmt::print(stderr, "rse: {} of {} processes of torus {}; more with --limit\n", shown, reply->count_total(),
                 letter_of(torus));
  }
  return kExitDone;
}

int reached(const PsFlags& flags) {
  int code = kExitDone;
  CellNames names;
  const auto tori = wanted_tori(flags, code);
  if (!tori || !read_names(flags, names, code)) return code;
  struct Reached {
    std::int64_t tick;
    CellId cell;
  };
  std::vector<Reached> all;
  std::uint64_t waves = 0;
  for (const TorusId torus : *tori) {
    ControlFailure failure;
    const auto reply = ask_ps(flags, torus, 0, failure);
    if (!reply) return report(failure);
    for (const v1::PsReply::Process& process : reply->processes()) {
      if (process.program() != "wave") continue;
      ++waves;
      if (process.value() >= 0) all.push_back({process.value(), CellId{process.cell()}});
    }
  }
  std::sort(all.begin(), all.end(), [](const Reached& a, const Reached& b) {
    return a.tick != b.tick ? a.tick < b.tick : a.cell < b.cell;
  });
  for (const Reached& one : all) {
    if (flags.json)
      fmt::print("{{\"tick\":{},\"cell\":\"{}\",\"name\":\"{}\"}}\n", one.tick, cell_text(one.cell), names.name_of(one.cell));
    else
      fmt::print("{:>12}  {:<12} {}\n", one.tick, cell_text(one.cell), names.name_of(one.cell));
  }
  fmt::print(stderr, "{} of {} wave cells reached\n", all.size(), waves);
  return kExitDone;
}

int outputs(const PsFlags& flags) {
  int code = kExitDone;
  const auto tori = wanted_tori(flags, code);
  if (!tori) return code;
  for (const TorusId torus : *tori) {
    ControlFailure failure;
    auto client = connect_to_host(torus, flags.control, failure);
    if (!client) return report(failure);
    v1::ControlRequest request;
    request.mutable_outputs()->set_torus(torus.raw);
    request.mutable_outputs()->set_from_number(flags.from_number);
    v1::ControlReply reply;
    if (!client->ask(request, reply, failure)) return report(failure);
    if (reply.outputs().lost_count() > 0)
      fmt::print(stderr, "rse: {} older outputs of torus {} are gone: a torus keeps the last 1,024\n",
                 reply.outputs().lost_count(), letter_of(torus));
    for (const v1::OutputsReply::Output& output : reply.outputs().outputs()) {
      if (flags.json)
        fmt::print("{{\"torus\":\"{}\",\"number\":{},\"tick\":{},\"cell\":\"{}\",\"value\":{}}}\n", letter_of(torus),
                   output.number(), output.time(), cell_text(CellId{output.cell()}), output.value());
      else
        fmt::print("{} {:>8} {:>14}  {:<12} {:>20}\n", letter_of(torus), output.number(), output.time(),
                   cell_text(CellId{output.cell()}), output.value());
    }
  }
  return kExitDone;
}

CLI::App* add_reading_command(CLI::App& app, const char* name, const char* what, const std::shared_ptr<PsFlags>& flags) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("--control", flags->control, "control address of a daemon; repeatable: each torus is read where it runs");
  command->add_option("--torus", flags->torus, "A, B or C (else all)");
  command->add_flag("--json", flags->json, "one object a line");
  return command;
}

}  // namespace

void add_ps_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<PsFlags>();
  CLI::App* command = add_reading_command(app, "ps", "the processes of the tori", flags);
  command->add_option("--names", flags->names, "names.tsv of the scenario");
  command->add_option("--limit", flags->limit, "at most so many of each torus (0: all)");
  command->callback([flags, &exit_code] { exit_code = ps(*flags); });
}

void add_reached_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<PsFlags>();
  CLI::App* command = add_reading_command(app, "reached", "the cells that a wave has reached, and when", flags);
  command->add_option("--names", flags->names, "names.tsv of the scenario");
  command->callback([flags, &exit_code] { exit_code = reached(*flags); });
}

void add_outputs_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<PsFlags>();
  CLI::App* command = add_reading_command(app, "outputs", "what programs have put out", flags);
  command->add_option("--from", flags->from_number, "from this number on");
  command->callback([flags, &exit_code] { exit_code = outputs(*flags); });
}

}  // namespace rse
