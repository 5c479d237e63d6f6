#include "node/http/past.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "node/history/history_store.h"
#include "node/http/json.h"
#include "torus/base/strong.h"

namespace rse {
namespace {

constexpr std::uint64_t kGapSeconds = 5;  // two samples further apart say nothing of the time between

struct Mean {
  double sum = 0;
  std::uint32_t count = 0;
  void add(double value) {
    sum += value;
    ++count;
  }
  void write(std::string& out) const { out += count == 0 ? std::string("null") : fmt::format("{:.6g}", sum / count); }
};

struct Step {
  std::array<Mean, kTorusCount> events, epochs;
  Mean rtt;
  std::size_t source = 0;  // of what is in it: the first node that has kept something
  bool filled = false;
};

class Series {
 public:
  Series(std::uint64_t span, std::uint64_t now)
      : step_seconds_(std::max<std::uint64_t>(1, (span + kPastPoints - 1) / kPastPoints)), end_(now + 1), begin_(end_ - std::min(span, end_)),
        steps_((end_ - begin_ + step_seconds_ - 1) / step_seconds_) {}

  std::uint64_t begin() const { return begin_; }

  void take(std::size_t source, const v1::HistorySample* before, const v1::HistorySample& sample) {
    if (sample.unix_seconds() < begin_ || sample.unix_seconds() >= end_) return;
    Step& step = steps_[(sample.unix_seconds() - begin_) / step_seconds_];
    if (step.filled && step.source != source) return;
    step.filled = true;
    step.source = source;
    if (sample.rtt_nanoseconds() > 0) step.rtt.add(static_cast<double>(sample.rtt_nanoseconds()) / 1e6);
    if (before == nullptr || sample.unix_seconds() - before->unix_seconds() > kGapSeconds) return;
    const double seconds = static_cast<double>(sample.unix_seconds() - before->unix_seconds());
    for (int torus = 0; torus < std::min({sample.tori_size(), before->tori_size(), static_cast<int>(kTorusCount)}); ++torus) {
      const v1::HistorySample::Torus& to = sample.tori(torus);
      const v1::HistorySample::Torus& from = before->tori(torus);
      if (to.events() < from.events() || to.epoch() < from.epoch()) continue;  // another run
      step.events[static_cast<std::size_t>(torus)].add(static_cast<double>(to.events() - from.events()) / seconds);
      step.epochs[static_cast<std::size_t>(torus)].add(static_cast<double>(to.epoch() - from.epoch()) / seconds);
    }
  }

  std::string json() const {
    std::string out = fmt::format("{{\"step_seconds\":{},\"seconds\":", step_seconds_);
    list(out, [&](const Step& step, std::string& to) {
      to += std::to_string(begin_ + step_seconds_ * static_cast<std::uint64_t>(&step - steps_.data()));
    });
    for (const auto& [name, values] : {std::pair("events", &Step::events), std::pair("epochs", &Step::epochs)}) {
      out += fmt::format(",\"{}\":[", name);
      for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
        if (torus > 0) out += ',';
        list(out, [&, values = values](const Step& step, std::string& to) { (step.*values)[torus].write(to); });
      }
      out += ']';
    }
    out += ",\"rtt_milliseconds\":";
    list(out, [](const Step& step, std::string& to) { step.rtt.write(to); });
    return out + "}";
  }

 private:
  template <class Write>
  void list(std::string& out, const Write& write) const {
    char separator = '[';
    for (const Step& step : steps_) {
      out += std::exchange(separator, ',');
      write(step, out);
    }
    out += steps_.empty() ? "[]" : "]";
  }

  std::uint64_t step_seconds_;
  std::uint64_t end_;
  std::uint64_t begin_;
  std::vector<Step> steps_;
};

void read_samples(HistoryStore& store, std::size_t source, Series& series) {
  std::optional<v1::HistorySample> before;
  v1::HistoryRequest request;
  request.set_sample_count_max(kHistoryPageMax);
  request.set_from_unix_seconds(std::max<std::uint64_t>(series.begin(), 1));
  for (std::uint64_t read = 0; read <= kHistorySamplesMax; read += kHistoryPageMax) {
    v1::HistoryReply page;
    if (!store.read(request, page).empty() || page.samples().empty()) return;
    for (const v1::HistorySample& sample : page.samples()) {
      series.take(source, before ? &*before : nullptr, sample);
      before = sample;
    }
    request.set_from_unix_seconds(before->unix_seconds() + 1);
  }
}

}  // namespace

std::string past_incidents_json(const std::vector<std::string>& data_directories) {
  std::string out = "{\"histories\":[";
  v1::HistoryRequest request;
  request.set_incident_count_max(kPastIncidentsMax);
  for (const std::string& directory : data_directories) {
    std::string ignored;
    const auto store = HistoryStore::open_to_read(directory + kHistoryFile, ignored);
    v1::HistoryReply history;
    if (store && store->read(request, history).empty()) out += (out.back() == '[' ? "" : ",") + to_json(history);
  }
  return out + "]}\n";
}

std::string past_series_json(const std::vector<std::string>& data_directories, std::chrono::seconds span, std::uint64_t now_unix_seconds) {
  Series series(static_cast<std::uint64_t>(span.count()), now_unix_seconds);
  for (std::size_t source = 0; source < data_directories.size(); ++source) {
    std::string ignored;
    if (const auto store = HistoryStore::open_to_read(data_directories[source] + kHistoryFile, ignored)) read_samples(*store, source, series);
  }
  return series.json() + "\n";
}

}  // namespace rse
