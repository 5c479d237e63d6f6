// rse inject, rse spawn: requests from outside, taken exactly once even when the node asked dies meanwhile.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "node/client_cluster_access.h"
#include "node/client_words.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

struct InjectFlags {
  std::vector<std::string> control;
  std::string to;
  std::string from;
  std::string names;
  std::int32_t payload = 0;
  std::uint64_t count = 1;
  std::string program;
  std::string args;
  bool json = false;
};

const char* status_word(v1::ControlInjectReply::Status status) {
  switch (status) {
    case v1::ControlInjectReply::ACCEPTED: return "accepted";
    case v1::ControlInjectReply::RUN_ENDED: return "run ended";
    case v1::ControlInjectReply::TOO_MANY: return "too many";
    case v1::ControlInjectReply::UNKNOWN_PROGRAM: return "unknown program";
    case v1::ControlInjectReply::OVERTAKEN: return "overtaken";
    default: return "unknown";
  }
}

std::optional<CellId> find_cell(const InjectFlags& flags, const std::string& text, int& exit_code) {
  if (std::optional<CellId> cell = parse_cell(text)) return cell;
  exit_code = kExitUsage;
  if (flags.names.empty()) {
    fmt::print(stderr, "rse: \"{}\" is no cell: write TORUS:x,y,z with torus A, B or C, or a name with --names FILE\n", text);
    return std::nullopt;
  }
  CellNames names;
  if (const std::string failure = names.read(flags.names); !failure.empty()) {
    fmt::print(stderr, "rse: {}\n", failure);
    return std::nullopt;
  }
  const std::optional<CellId> cell = names.cell_of(text);
  if (!cell) {
    fmt::print(stderr, "rse: no cell is named \"{}\" in {} ({} names)\n", text, flags.names, names.size());
    return std::nullopt;
  }
  exit_code = kExitDone;
  return cell;
}

int print_answer(const InjectFlags& flags, CellId cell, const Requester::Answer& answer) {
  const v1::ControlInjectReply& reply = answer.reply;
  const bool accepted = reply.status() == v1::ControlInjectReply::ACCEPTED;
  if (flags.json)
    fmt::print("{{\"cell\":\"{}\",\"status\":\"{}\",\"sealed_in\":{},\"latency_nanoseconds\":{},\"attempts\":{}}}\n",
               cell_text(cell), status_word(reply.status()), reply.sealed_in(), reply.latency_nanoseconds(),
               answer.attempts);
  else if (accepted)
    fmt::print("accepted: {} sealed in epoch {}, held by two nodes after {:.2f} ms\n", cell_text(cell),
               reply.sealed_in(), static_cast<double>(reply.latency_nanoseconds()) / 1e6);
  else
    fmt::print(stderr, "rse: not accepted: {}\n", status_word(reply.status()));
  return accepted ? kExitDone : kExitFailed;
}

int inject(const InjectFlags& flags) {
  int code = kExitDone;
  const std::optional<CellId> to = find_cell(flags, flags.to, code);
  if (!to) return code;
  std::optional<CellId> from;
  if (!flags.from.empty()) {
    from = find_cell(flags, flags.from, code);
    if (!from) return code;
  }
  Requester requester(flags.control);
  for (std::uint64_t i = 0; i < flags.count; ++i) {
    ControlFailure failure;
    const auto answer = requester.inject(*to, from, flags.payload, failure);
    if (!answer) return report(failure);
    if (const int failed = print_answer(flags, *to, *answer); failed != kExitDone) return failed;
  }
  return kExitDone;
}

int spawn(const InjectFlags& flags) {
  int code = kExitDone;
  const std::optional<CellId> at = find_cell(flags, flags.to, code);
  if (!at) return code;
  Requester requester(flags.control);
  ControlFailure failure;
  const auto answer = requester.spawn(*at, flags.program, flags.args, failure);
  return answer ? print_answer(flags, *at, *answer) : report(failure);
}

void add_common(CLI::App* command, const std::shared_ptr<InjectFlags>& flags) {
  command->add_option("--control", flags->control, "control address of a daemon; repeatable, the next one is asked when one dies");
  command->add_option("--names", flags->names, "names.tsv of the scenario: cells may then be given by name");
  command->add_flag("--json", flags->json, "one object a line");
}

}  // namespace

void add_inject_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<InjectFlags>();
  CLI::App* command = app.add_subcommand("inject", "sends an event into a torus, exactly once");
  add_common(command, flags);
  command->add_option("--to", flags->to, "the cell: A:1,2,3, or a name")->required();
  command->add_option("--from", flags->from, "the source cell (else the destination)");
  command->add_option("--payload", flags->payload, "a 32-bit number");
  command->add_option("--count", flags->count, "how many, one after the other");
  command->callback([flags, &exit_code] { exit_code = inject(*flags); });
}

void add_spawn_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<InjectFlags>();
  CLI::App* command = app.add_subcommand("spawn", "starts a process in a cell, exactly once");
  add_common(command, flags);
  command->add_option("--at", flags->to, "the cell: A:1,2,3, or a name")->required();
  command->add_option("program", flags->program, "the program's name, e.g. counter")->required();
  command->add_option("--args", flags->args, "its arguments: \"key=value key=value\"");
  command->callback([flags, &exit_code] { exit_code = spawn(*flags); });
}

}  // namespace rse
