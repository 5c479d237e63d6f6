// rse history: what happened, deaths told as one line each. rse incident: the timeline of one of them.
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "node/client_history.h"
#include "node/client_status.h"
#include "node/client_words.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

constexpr int kBarCells = 30;

struct HistoryFlags {
  HistoryQuestion question;
  std::string incident;
  std::uint32_t count = 30;
  std::uint32_t samples = 0;
  bool json = false;
};

void print_json(const v1::HistoryReply& history) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(history, &json, options).ok()) json = "{}";
  fmt::print("{}\n", json);
}

void print_samples(const Past& past) {
  fmt::print("{:<10} {:<24} {:<12} {:>10} {:>10} {:>10} {:>9} {:>9}\n", "NODE", "SECOND (UTC)", "HEALTH", "EPOCH A", "EPOCH B", "EPOCH C",
             "EVENTS/s", "RTT ms");
  for (const v1::HistoryReply& history : past.histories) {
    std::uint64_t before = 0;
    for (const v1::HistorySample& sample : history.samples()) {
      std::uint64_t events = 0;
      for (const auto& torus : sample.tori()) events += torus.events();
      const auto epoch = [&](int torus) { return torus < sample.tori_size() ? sample.tori(torus).epoch() : 0; };
      fmt::print("{:<10} {:<24} {:<12} {:>10} {:>10} {:>10} {:>9} {:>9.2f}\n", history.name(), utc_text(sample.unix_seconds() * 1'000'000'000),
                 v1::StatusReply::Health_Name(sample.health()), epoch(0), epoch(1), epoch(2),
                 before != 0 && events >= before ? short_number(static_cast<double>(events - before)) : "-",
                 static_cast<double>(sample.rtt_nanoseconds()) / 1e6);
      before = events;
    }
  }
}

int show_history(HistoryFlags& flags) {
  flags.question.samples = flags.samples;
  ControlFailure failure;
  const auto past = ask_past(flags.question, failure);
  if (!past) return report(failure);
  if (flags.json) {
    for (const v1::HistoryReply& history : past->histories) print_json(history);
    return kExitDone;
  }
  if (flags.samples > 0) {
    print_samples(*past);
    return kExitDone;
  }
  const std::vector<PastLine> lines = past_lines(put_together(past->histories), past->names);
  if (lines.empty()) fmt::print("nothing has happened yet\n");
  const std::size_t first = lines.size() > flags.count ? lines.size() - flags.count : 0;
  for (std::size_t i = first; i < lines.size(); ++i)
    fmt::print("{:<10} {}  {}\n", lines[i].name, utc_text(lines[i].unix_nanoseconds), lines[i].text);
  return kExitDone;
}

/// "a:17"; or "17", of whichever node's story has that number.
bool is_named(const std::string& name, const Past& past, std::uint64_t by, std::uint64_t number) {
  return name == incident_name(past.names, by, number) || name == std::to_string(number);
}

void print_phases(const Story& story) {
  const double whole = std::max(story.ends.back().value_or(0), 0.001);
  double before = 0;
  for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
    if (!story.ends[phase]) continue;
    const double end = *story.ends[phase];
    const auto cell = [&](double at) { return static_cast<int>(std::clamp(at / whole, 0.0, 1.0) * kBarCells); };
    const int from = std::min(cell(before), kBarCells - 1);
    const int to = std::max(cell(end), from + 1);
    fmt::print("  {:<20} {:>8.1f} ms  {}{}\n", phase_word(static_cast<Phase>(phase)), end, std::string(static_cast<std::size_t>(from), ' '),
               std::string(static_cast<std::size_t>(to - from), '#'));
    before = std::max(before, end);
  }
}

void print_story(const Story& story, const std::vector<Told>& told, const Past& past) {
  fmt::print("{}  {}\n", incident_name(past.names, story.witness, story.number), tell(story, past.names));
  fmt::print("first sign at {} UTC; why: {}\n\n", utc_text(story.begun_unix_nanoseconds), story.why);
  print_phases(story);
  fmt::print("\n");
  for (std::size_t i = story.first; i <= story.last && i < told.size(); ++i) {
    const v1::IncidentRecord& record = told[i].record;
    const double at = (static_cast<double>(record.unix_nanoseconds()) - static_cast<double>(story.begun_unix_nanoseconds)) / 1e6;
    fmt::print("  {:>+9.1f} ms  {:<10} {}\n", at, name_in(past.names, told[i].by), record.text());
  }
}

int show_incident(const HistoryFlags& flags) {
  ControlFailure failure;
  const auto past = ask_past(flags.question, failure);
  if (!past) return report(failure);
  const std::vector<Told> told = put_together(past->histories);
  const std::vector<Story> stories = find_stories(told);
  if (flags.incident.empty() && !stories.empty()) {
    print_story(stories.back(), told, *past);
    return kExitDone;
  }
  for (const Story& story : stories) {
    if (!is_named(flags.incident, *past, story.witness, story.number)) continue;
    print_story(story, told, *past);
    return kExitDone;
  }
  for (const Told& one : told) {
    if (!is_named(flags.incident, *past, one.by, one.record.number())) continue;
    fmt::print("{}  {} UTC  {}\n", incident_name(past->names, one.by, one.record.number()), utc_text(one.record.unix_nanoseconds()),
               one.record.text());
    return kExitDone;
  }
  return report({kExitFailed, flags.incident.empty() ? std::string("no node has died, as far as the histories within reach go")
                                                     : fmt::format("there is no incident {}; `rse history` lists what there is", flags.incident)});
}

void add_question_flags(CLI::App& command, HistoryFlags& flags) {
  command.add_option("--control", flags.question.control, "control address of a daemon; repeatable: histories are put together");
  command.add_option("--data-dir", flags.question.data_directories, "reads the history in a data directory, whether its daemon runs or not; repeatable");
}

}  // namespace

void add_history_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<HistoryFlags>();
  CLI::App* command = app.add_subcommand("history", "what has happened, from the histories of the nodes within reach");
  add_question_flags(*command, *flags);
  command->add_option("--count", flags->count, "lines at most (30)")->check(CLI::Range(1u, 100'000u));
  command->add_option("--samples", flags->samples, "the last N one-second samples of each node instead")->check(CLI::Range(1u, 4096u));
  command->add_flag("--json", flags->json, "rse.v1.HistoryReply as JSON, one object a node");
  command->callback([flags, &exit_code] { exit_code = show_history(*flags); });

  auto incident = std::make_shared<HistoryFlags>();
  command = app.add_subcommand("incident", "the timeline of one failover, with every phase");
  add_question_flags(*command, *incident);
  command->add_option("incident", incident->incident, "as `rse history` names it (else the newest)");
  command->callback([incident, &exit_code] { exit_code = show_incident(*incident); });
}

}  // namespace rse
