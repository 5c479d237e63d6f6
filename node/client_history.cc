#include "node/client_history.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>

#include "node/history/history_store.h"

namespace rse {
namespace {

constexpr std::uint64_t kRepeatedNanoseconds = 1'000'000'000;

/// Another node has said the same just before.
bool is_repeated(const std::vector<Told>& told, std::size_t i) {
  const v1::IncidentRecord& now = told[i].record;
  for (std::size_t before = i; before-- > 0 && now.unix_nanoseconds() - told[before].record.unix_nanoseconds() < kRepeatedNanoseconds;)
    if (told[before].by != told[i].by && told[before].record.text() == now.text()) return true;
  return false;
}

bool is_told_by_stories(const v1::IncidentRecord& record) {
  return record.kind() == v1::IncidentRecord::PEER_SUSPECTED || record.kind() == v1::IncidentRecord::PEER_HEARD_AGAIN ||
         record.kind() == v1::IncidentRecord::PEER_LOST;
}

v1::HistoryRequest request_of(const HistoryQuestion& question) {
  v1::HistoryRequest request;
  request.set_incident_count_max(question.incidents);
  request.set_sample_count_max(question.samples);
  return request;
}

void read_directory(const HistoryQuestion& question, const std::string& directory, Past& past, ControlFailure& failure) {
  const auto store = HistoryStore::open_to_read(directory + kHistoryFile, failure.text);
  if (!store) return;
  v1::HistoryReply history;
  failure.text = store->read(request_of(question), history);
  if (failure.text.empty()) past.histories.push_back(std::move(history));
}

void ask_node(const HistoryQuestion& question, const std::string& where, Past& past, ControlFailure& failure) {
  const auto client = ControlClient::connect(where, failure);
  if (!client) return;
  if (const auto status = ask_status(*client, failure)) {
    for (const v1::ViewMember& member : status->view().members()) past.names[member.node()] = member.name();
    for (const v1::PeerStatus& peer : status->peers())
      if (!peer.name().empty()) past.names[peer.node()] = peer.name();
  }
  v1::ControlRequest request;
  *request.mutable_history() = request_of(question);
  v1::ControlReply reply;
  if (client->ask(request, reply, failure)) past.histories.push_back(std::move(*reply.mutable_history()));
}

}  // namespace

std::optional<Past> ask_past(const HistoryQuestion& question, ControlFailure& failure) {
  Past past;
  for (const std::string& directory : question.data_directories) read_directory(question, directory, past, failure);
  if (question.data_directories.empty()) {
    for (const std::string& where : control_candidates(question.control)) ask_node(question, where, past, failure);
    if (past.histories.empty() && failure.text.empty()) connect_to_any(question.control, failure);
  }
  for (const v1::HistoryReply& history : past.histories) past.names[history.node()] = history.name();
  if (past.histories.empty()) return std::nullopt;
  return past;
}

std::string incident_name(const NodeNames& names, std::uint64_t by, std::uint64_t number) {
  return fmt::format("{}:{}", name_in(names, by), number);
}

std::vector<PastLine> past_lines(const std::vector<Told>& told, const NodeNames& names) {
  std::vector<bool> in_story(told.size());
  std::vector<PastLine> lines;
  for (const Story& story : find_stories(told)) {
    std::fill(in_story.begin() + static_cast<std::ptrdiff_t>(story.first), in_story.begin() + static_cast<std::ptrdiff_t>(story.last) + 1, true);
    lines.push_back({story.begun_unix_nanoseconds, incident_name(names, story.witness, story.number), tell(story, names), true});
  }
  for (std::size_t i = 0; i < told.size(); ++i) {
    const v1::IncidentRecord& record = told[i].record;
    if (in_story[i] || is_told_by_stories(record) || is_repeated(told, i)) continue;
    lines.push_back({record.unix_nanoseconds(), incident_name(names, told[i].by, record.number()), record.text(), false});
  }
  std::stable_sort(lines.begin(), lines.end(), [](const PastLine& a, const PastLine& b) { return a.unix_nanoseconds < b.unix_nanoseconds; });
  return lines;
}

std::string utc_text(std::uint64_t unix_nanoseconds) {
  const auto seconds = static_cast<time_t>(unix_nanoseconds / 1'000'000'000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec, unix_nanoseconds / 1'000'000 % 1000);
}

}  // namespace rse
