#include "node/scenario_text.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <vector>

#include "proto/rse/v1/scenario.pb.h"
#include "torus/engine/program.h"

namespace rse {
namespace {

namespace pb = google::protobuf;

constexpr std::size_t kTextBytesMax = 1u << 30;

/// Where a fault lies: the fields from the root down, with their index when repeated, else -1.
struct Step {
  const char* field;
  int index = -1;
};
struct Fault {
  std::vector<Step> path;
  std::string what;  // "what; next step"
};
using Checked = std::optional<Fault>;  // nullopt: in order

Fault operator/(Step step, Fault fault) {
  fault.path.insert(fault.path.begin(), step);
  return fault;
}

// --- What the library finds wrong, in our words. ---

class FirstError final : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (found) return;
    found = true;
    place = ":" + std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": ";
    what = message;
  }
  bool found = false;
  std::string place;
  std::string what;
};

std::string fields_of(const pb::Descriptor& type) {
  std::string names;
  for (int i = 0; i < type.field_count(); ++i) {
    names += (i == 0 ? "" : ", ") + type.field(i)->name();
  }
  return names;
}

/// The text between the n-th pair of double quotes, counted from 0.
std::string quoted(const std::string& message, int n) {
  std::size_t begin = 0;
  for (int quote = 0; quote <= 2 * n; ++quote) {
    begin = message.find('"', begin);
    if (begin == std::string::npos) return {};
    ++begin;
  }
  return message.substr(begin, message.find('"', begin) - begin);
}

std::string in_our_words(std::string message) {
  while (!message.empty() && message.back() == '.') message.pop_back();
  if (message.find("has no field named") != std::string::npos) {
    const pb::Descriptor* type =
        pb::DescriptorPool::generated_pool()->FindMessageTypeByName(quoted(message, 0));
    const std::string known = type != nullptr ? fields_of(*type) : std::string("none");
    return "unknown field \"" + quoted(message, 1) + "\"; the fields here are " + known;
  }
  if (message.find("nknown enumeration value") != std::string::npos) {
    return "unknown torus \"" + quoted(message, 0) + "\"; write A, B or C";
  }
  if (message.find("out of range") != std::string::npos) {
    return message + "; delays are 1..2^32-1, times and epoch_ticks below 2^64, payloads and coordinates int32";
  }
  if (message.find("specified multiple times") != std::string::npos) {
    return message + "; give it once";
  }
  return message + "; correct the text here (protobuf text format)";
}

/// Torus values are literally A, B, C; the library would take numbers too.
bool has_numeric_torus(std::string_view text, FirstError& error) {
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  FirstError ignored;  // the parser reports what is wrong with tokens
  pb::io::Tokenizer tokens(&stream, &ignored);
  tokens.set_comment_style(pb::io::Tokenizer::SH_COMMENT_STYLE);
  int matched = 0;  // 1: after `torus`, 2: after `torus:`
  while (tokens.Next()) {
    const pb::io::Tokenizer::Token& token = tokens.current();
    if (matched == 2 && token.type != pb::io::Tokenizer::TYPE_IDENTIFIER) {
      error.AddError(token.line, token.column, "");
      error.what = "torus is \"" + token.text + "\"; write A, B or C";
      return true;
    }
    if (matched == 1 && token.text == ":") {
      matched = 2;
    } else {
      matched = token.type == pb::io::Tokenizer::TYPE_IDENTIFIER && token.text == "torus" ? 1 : 0;
    }
  }
  return false;
}

// --- From messages to the plain struct. ---

CellId cell_of(const v1::Cell& cell) {
  return cell_at({static_cast<std::uint8_t>(cell.torus())}, cell.x(), cell.y(), cell.z());
}

std::string program_names() {
  std::string names;
  for (const Program* program : all_programs()) {
    names += (names.empty() ? "" : ", ") + std::string(program->name());
  }
  return names;
}

Checked take_settings(const v1::Scenario& message, Scenario& scenario) {
  if (message.has_epoch_ticks()) scenario.epoch_ticks = message.epoch_ticks();
  if (scenario.epoch_ticks == 0) return Fault{{{"epoch_ticks"}}, "epoch_ticks is 0; it is at least 1"};
  scenario.adaptive = message.adaptive();
  scenario.boundary_coupling = message.boundary_coupling();
  if (message.has_boundary_tolerance()) scenario.boundary_tolerance = message.boundary_tolerance();
  return std::nullopt;
}

Checked take_relay(const v1::Relay& relay, Scenario& scenario) {
  if (!relay.has_cell()) return Fault{{}, "relay without cell; add cell { torus: A x: 0 y: 0 z: 0 }"};
  scenario.relays.push_back({cell_of(relay.cell()), std::nullopt});
  if (relay.has_max_payload()) scenario.relays.back().max_payload = relay.max_payload();
  return std::nullopt;
}

Checked take_edge(const v1::Edge& edge, Scenario& scenario) {
  if (!edge.has_from()) return Fault{{}, "edge without from; add from { torus: A x: 0 y: 0 z: 0 }"};
  if (!edge.has_to()) return Fault{{}, "edge without to; add to { torus: A x: 0 y: 0 z: 0 }"};
  if (!edge.has_delay()) return Fault{{}, "edge without delay; add delay: 1 to 2^32-1 ticks"};
  if (edge.delay() == 0) return Fault{{{"delay"}}, "delay is 0; it is 1 to 2^32-1 ticks"};
  scenario.edges.push_back({cell_of(edge.from()), cell_of(edge.to()), edge.delay()});
  return std::nullopt;
}

Checked take_process(const v1::Process& process, Scenario& scenario) {
  if (!process.has_cell()) {
    return Fault{{}, "process without cell; add cell { torus: A x: 0 y: 0 z: 0 }"};
  }
  if (process.program().empty()) {
    return Fault{{}, "process without program; one of " + program_names()};
  }
  if (find_program(process.program()) == nullptr) {
    return Fault{{{"program"}},
                 "unknown program \"" + process.program() + "\"; one of " + program_names()};
  }
  if (process.args().size() > kProgramArgsBytesMax) {
    return Fault{{{"args"}}, "args of " + std::to_string(process.args().size()) +
                                 " bytes; at most " + std::to_string(kProgramArgsBytesMax)};
  }
  scenario.processes.push_back({cell_of(process.cell()), process.program(), process.args()});
  return std::nullopt;
}

Checked take_injection(const v1::Inject& inject, Scenario& scenario) {
  if (!inject.has_to()) return Fault{{}, "inject without to; add to { torus: A x: 0 y: 0 z: 0 }"};
  const CellId to = cell_of(inject.to());
  const CellId from = inject.has_from() ? cell_of(inject.from()) : to;
  scenario.injections.push_back({Tick{inject.time()}, to, from, inject.payload()});
  return std::nullopt;
}

template <class Entries, class Take>
Checked take_all(const Entries& entries, const char* field, Scenario& scenario, Take take) {
  for (int i = 0; i < entries.size(); ++i) {
    if (Checked fault = take(entries[i], scenario)) return Step{field, i} / *fault;
  }
  return std::nullopt;
}

Checked take_scenario(const v1::Scenario& message, Scenario& scenario) {
  if (Checked fault = take_settings(message, scenario)) return fault;
  if (Checked fault = take_all(message.relay(), "relay", scenario, take_relay)) return fault;
  if (Checked fault = take_all(message.edge(), "edge", scenario, take_edge)) return fault;
  if (Checked fault = take_all(message.process(), "process", scenario, take_process)) return fault;
  if (Checked fault = take_all(message.inject(), "inject", scenario, take_injection)) return fault;
  if (encode_scenario(scenario).size() > kScenarioBytesMax) {
    return Fault{{}, "more than " + std::to_string(kScenarioBytesMax >> 20) +
                         " MB of entries; load fewer edges or processes"};
  }
  return std::nullopt;
}

/// ":LINE:COLUMN: " of a fault. The parser notes places in a second pass only: they take ten times the memory.
std::string place_of(const Fault& fault, const std::string& text) {
  v1::Scenario message;
  pb::TextFormat::ParseInfoTree root;
  pb::TextFormat::Parser parser;
  parser.WriteLocationsTo(&root);
  if (!parser.ParseFromString(text, &message)) return ": ";
  const pb::TextFormat::ParseInfoTree* tree = &root;
  const pb::Descriptor* type = v1::Scenario::descriptor();
  pb::TextFormat::ParseLocation location(0, 0);
  for (const Step& step : fault.path) {
    const pb::FieldDescriptor* const field = type->FindFieldByName(step.field);
    const auto found = tree->GetLocation(field, step.index);
    if (found.line >= 0) location = found;
    if (field->message_type() == nullptr) break;
    tree = tree->GetTreeForNested(field, step.index);
    type = field->message_type();
  }
  return ":" + std::to_string(location.line + 1) + ":" + std::to_string(location.column + 1) + ": ";
}

// --- And back. ---

v1::Cell* put_cell(CellId id, v1::Cell* cell) {
  const auto index = static_cast<std::int32_t>(index_of(id));
  cell->set_torus(static_cast<v1::Torus>(torus_of(id).raw));
  cell->set_x(index / 1024);
  cell->set_y(index / 32 % 32);
  cell->set_z(index % 32);
  return cell;
}

void put_line(const char* field, const pb::Message& entry, std::string& out) {
  out += std::string(field) + " { " + entry.ShortDebugString() + " }\n";
}

}  // namespace

std::optional<Scenario> parse_scenario(std::string_view text, const std::string& file,
                                       std::string& failure) {
  if (text.size() > kTextBytesMax) {
    failure = file + ": larger than " + std::to_string(kTextBytesMax >> 20) + " MB; is it a scenario?";
    return std::nullopt;
  }
  const std::string copy(text);
  v1::Scenario message;
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(copy, &message)) {
    failure = file + error.place + in_our_words(error.what);
    return std::nullopt;
  }
  if (has_numeric_torus(copy, error)) {
    failure = file + error.place + error.what;
    return std::nullopt;
  }
  Scenario scenario;
  if (const Checked fault = take_scenario(message, scenario)) {
    failure = file + place_of(*fault, copy) + fault->what;
    return std::nullopt;
  }
  return scenario;
}

std::optional<Scenario> read_scenario(const std::string& file, std::string& failure) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream bytes;
    if (!stream || (stream.peek() != std::ifstream::traits_type::eof() && !(bytes << stream.rdbuf()))) {
      failure = file + ": cannot be read; is it there, and may you read it?";
      return std::nullopt;
    }
    text = std::move(bytes).str();
  }
  return parse_scenario(text, file == "-" ? "stdin" : file, failure);
}

std::string to_text(const Scenario& scenario) {
  std::string out = "epoch_ticks: " + std::to_string(scenario.epoch_ticks) + "\n";
  out += std::string("adaptive: ") + (scenario.adaptive ? "true" : "false") + "\n";
  out += std::string("boundary_coupling: ") + (scenario.boundary_coupling ? "true" : "false") + "\n";
  out += "boundary_tolerance: " + std::to_string(scenario.boundary_tolerance) + "\n";
  for (const auto& relay : scenario.relays) {
    v1::Relay entry;
    put_cell(relay.cell, entry.mutable_cell());
    if (relay.max_payload) entry.set_max_payload(*relay.max_payload);
    put_line("relay", entry, out);
  }
  for (const auto& edge : scenario.edges) {
    v1::Edge entry;
    put_cell(edge.from, entry.mutable_from());
    put_cell(edge.to, entry.mutable_to());
    entry.set_delay(edge.delay);
    put_line("edge", entry, out);
  }
  for (const auto& process : scenario.processes) {
    v1::Process entry;
    put_cell(process.cell, entry.mutable_cell());
    entry.set_program(process.program);
    entry.set_args(process.args);
    put_line("process", entry, out);
  }
  for (const Event& event : scenario.injections) {
    v1::Inject entry;
    put_cell(event.dst, entry.mutable_to());
    if (event.src != event.dst) put_cell(event.src, entry.mutable_from());
    entry.set_time(event.time.raw);
    entry.set_payload(event.payload);
    put_line("inject", entry, out);
  }
  return out;
}

void merge_scenario(Scenario& scenario, const Scenario& more) {
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(scenario.relays, more.relays);
  append(scenario.edges, more.edges);
  append(scenario.processes, more.processes);
  append(scenario.injections, more.injections);
}

}  // namespace rse
