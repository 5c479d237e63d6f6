#include "node/http/gateway.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>

#include "node/client_cluster_access.h"
#include "node/dashboard/assets.h"
#include "node/http/http_server.h"
#include "node/http/json.h"
#include "node/http/metrics_text.h"
#include "node/http/node_watch.h"
#include "node/http/past.h"
#include "transport/clock.h"

namespace rse {
namespace {

constexpr std::size_t kJobsMax = 64;
constexpr std::uint32_t kProcessesShown = 200;
constexpr std::chrono::milliseconds kCellsFresh{300};
constexpr std::chrono::seconds kPastFresh{1};
constexpr std::array<std::chrono::seconds, 3> kSpans{std::chrono::minutes(10), std::chrono::hours(6), std::chrono::hours(24)};
constexpr std::size_t kDirectoriesMax = 16;
constexpr std::chrono::seconds kInjectLimit{5};
constexpr std::chrono::seconds kHostLimit{2};

/// The same shape as an error of the control API.
HttpReply refusal(int status, std::string text) {
  v1::ControlError error;
  error.set_text(std::move(text));
  return {status, "application/json", "{\"error\":" + to_json(error) + "}\n"};
}

HttpReply words(const std::string& text) {
  v1::DoneReply done;
  done.set_text(text);
  return {200, "application/json", to_json(done) + "\n"};
}

/// Levels, then the number of corrective events as eight bytes, little-endian.
std::string cell_bytes(const v1::CellsReply& cells) {
  std::string bytes = cells.levels();
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(cells.corrective() >> shift);
  return bytes;
}

/// The place in kSpans.
std::optional<std::size_t> span_of(const HttpRequest& request) {
  for (std::size_t i = 0; i < kSpans.size(); ++i)
    if (request.argument("span") == std::to_string(kSpans[i].count())) return i;
  return std::nullopt;
}

std::optional<TorusId> torus_of(const HttpRequest& request) {
  const std::string_view text = request.argument("torus");
  if (text.size() != 1 || text[0] < '0' || text[0] >= static_cast<char>('0' + kTorusCount)) return std::nullopt;
  return TorusId{static_cast<std::uint8_t>(text[0] - '0')};
}

}  // namespace

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return {};
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

class Gateway::Impl {
 public:
  explicit Impl(Options options)
      : options_(std::move(options)),
        server_(loop_, {[this](const HttpRequest& request, HttpServer::Answer answer) { route(request, std::move(answer)); },
                        [](const HttpRequest& request) { return request.method == "GET" && request.path == "/api/v1/events"; },
                        options_.allowed_hosts}),
        watch_(options_.controls, [this](NodeWatch::Statuses statuses) { publish(std::move(statuses)); }) {}

  std::string start() {
    if (std::string failure = server_.listen(options_.listen); !failure.empty()) return failure;
    http_thread_ = std::thread([this] { loop_.run(); });
    job_thread_ = std::thread([this] { jobs_.run(); });
    watch_.start();
    return {};
  }

  std::string url() const {
    const std::string host = options_.listen.substr(0, options_.listen.rfind(':'));
    return fmt::format("http://{}:{}/{}", host, server_.port(), options_.token.empty() ? "" : "#token=" + options_.token);
  }

  void stop() {
    if (std::exchange(stopped_, true)) return;
    watch_.stop();
    job_work_.reset();
    jobs_.stop();
    if (job_thread_.joinable()) job_thread_.join();
    asio::post(loop_, [this] {
      server_.stop();
      loop_work_.reset();
      loop_.stop();
    });
    if (http_thread_.joinable()) http_thread_.join();
  }

 private:
  /// Made once, whatever the number of browsers. On the watch's thread.
  void publish(NodeWatch::Statuses statuses) {
    // This machine may run nodes of several clusters; the first one's is shown.
    std::erase_if(statuses, [&](const v1::StatusReply& status) { return status.self().cluster() != statuses.front().self().cluster(); });
    std::string state = "{\"nodes\":[";
    for (const v1::StatusReply& status : statuses) state += (state.back() == '[' ? "" : ",") + to_json(status);
    const auto flag = [](bool value) { return value ? "true" : "false"; };
    const bool changes = !options_.token.empty();
    state += fmt::format("],\"capabilities\":{{\"inject\":{},\"kill\":{},\"restart\":{}}}}}", flag(changes), flag(changes && options_.kill),
                         flag(changes && options_.restart));
    asio::post(loop_, [this, state = std::move(state), statuses = std::move(statuses)]() mutable {
      state_ = std::move(state);
      statuses_ = std::move(statuses);
      note_directories();
      const std::string event = http_event_bytes("state", state_);
      server_.set_greeting(event);
      server_.broadcast(event);
      watch_.set_wanted(server_.listener_count() > 0);
    });
  }

  void route(const HttpRequest& request, HttpServer::Answer answer) {
    if (request.method == "POST") return change(request, std::move(answer));
    if (request.method != "GET" && request.method != "HEAD") return answer(refusal(405, "GET reads, POST changes"));
    if (const auto asset = dashboard::dashboard_asset(request.path))
      return answer({200, std::string(asset->content_type), std::string(asset->bytes)});
    if (request.path == "/api/v1/state") return answer({200, "application/json", state_ + "\n"});
    if (request.path == "/healthz") return answer(health());
    if (request.path == "/metrics") return answer({200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(statuses_)});
    if (request.path == "/api/v1/cells" || request.path == "/api/v1/processes") {
      const std::optional<TorusId> torus = torus_of(request);
      if (!torus) return answer(refusal(400, "say which torus: ?torus=0, 1 or 2"));
      if (request.path == "/api/v1/cells") return cells(*torus, std::move(answer));
      return later(std::move(answer), [this, torus = *torus] { return processes(torus); });
    }
    if (request.path == "/api/v1/incidents")
      return past(incidents_, kPastFresh, std::move(answer), [directories = directories_] { return past_incidents_json(directories); });
    if (request.path == "/api/v1/series") {
      const std::optional<std::size_t> span = span_of(request);
      if (!span) return answer(refusal(400, "say how much: ?span=600, 21600 or 86400 seconds"));
      return past(series_[*span], std::max(kPastFresh, kSpans[*span] / std::chrono::seconds::rep{kPastPoints}), std::move(answer),
                  [directories = directories_, span = kSpans[*span]] { return past_series_json(directories, span, unix_seconds()); });
    }
    answer(refusal(404, "there is nothing at " + request.path + "; docs/reference/http.md lists what there is"));
  }

  HttpReply health() const {
    if (statuses_.empty()) return {503, "text/plain; charset=utf-8", "no node answers\n"};
    const v1::StatusReply& status = statuses_.front();
    const bool runs = status.health() == v1::StatusReply::HEALTHY || status.health() == v1::StatusReply::UNPROTECTED;
    return {runs ? 200 : 503, "text/plain; charset=utf-8", status.verdict() + "\n"};
  }

  void change(const HttpRequest& request, HttpServer::Answer answer) {
    const std::string_view given = request.header("authorization");
    if (options_.token.empty()) return answer(refusal(403, "this page may only look: the program that serves it was started without a token"));
    if (!given.starts_with("Bearer ") || !is_same_secret(given.substr(7), options_.token))
      return answer(refusal(403, "a change needs the token: open the address that the program printed when it started"));
    if (request.path == "/api/v1/inject") {
      v1::ControlInjectRequest inject;
      google::protobuf::util::JsonParseOptions strict;
      if (!google::protobuf::util::JsonStringToMessage(request.body, &inject, strict).ok())
        return answer(refusal(400, "this is no injection: {\"torus\":0,\"dst\":0,\"payload\":1}"));
      return later(std::move(answer), [this, inject] { return inject_event(inject); });
    }
    const bool kills = request.path == "/api/v1/kill";
    const auto& act = kills ? options_.kill : options_.restart;
    if ((kills || request.path == "/api/v1/restart") && act) {
      const std::string node(request.argument("node"));
      return later(std::move(answer), [&act, node] { return words(act(node)); });
    }
    answer(refusal(404, "there is nothing to change at " + request.path));
  }

  /// On the thread for what takes time; its answer comes back to the HTTP thread.
  void later(HttpServer::Answer answer, std::function<HttpReply()> job) {
    if (jobs_waiting_ >= kJobsMax) return answer(refusal(503, "too many requests wait; ask again later"));
    ++jobs_waiting_;
    asio::post(jobs_, [this, answer = std::move(answer), job = std::move(job)]() mutable {
      asio::post(loop_, [this, answer = std::move(answer), reply = job()] {
        --jobs_waiting_;
        answer(reply);
      });
    });
  }

  HttpReply processes(TorusId torus) {
    v1::ControlRequest request;
    request.mutable_ps()->set_torus(torus.raw);
    request.mutable_ps()->set_count_max(kProcessesShown);
    v1::ControlReply reply;
    ControlFailure failure;
    if (!ask_host(torus, request, reply, failure)) return refusal(503, failure.text);
    return {200, "application/json", to_json(reply.ps()) + "\n"};
  }

  HttpReply inject_event(const v1::ControlInjectRequest& inject) {
    Requester requester(options_.controls(), kInjectLimit);
    ControlFailure failure;
    const std::optional<CellId> source = inject.has_src() ? std::optional<CellId>(CellId{inject.src()}) : std::nullopt;
    const auto answer = requester.inject({inject.dst()}, source, inject.payload(), failure);
    if (!answer) return refusal(503, failure.text);
    return {200, "application/json", to_json(answer->reply) + "\n"};
  }

  /// The last levels, at once, or nothing where no node of this machine can show that torus now; whoever comes when they are
  /// old has new ones fetched. So the node is asked a few times a second at most, however many look.
  void cells(TorusId torus, HttpServer::Answer answer) {
    Cells& known = cells_[torus.raw];
    answer({200, "application/octet-stream", known.levels});
    const auto now = std::chrono::steady_clock::now();
    if (known.asking || now - known.at < kCellsFresh) return;
    known.asking = true;
    asio::post(jobs_, [this, torus] {
      v1::ControlRequest request;
      request.mutable_cells()->set_torus(torus.raw);
      v1::ControlReply reply;
      const bool got = ask_for_cells(torus, request, reply);
      asio::post(loop_, [this, torus, levels = got ? cell_bytes(reply.cells()) : std::string()] {
        Cells& fetched = cells_[torus.raw];
        fetched = {levels, std::chrono::steady_clock::now(), false};
      });
    });
  }

  struct Kept {
    std::string body;
    std::chrono::steady_clock::time_point until{};
    std::vector<HttpServer::Answer> waiting;
  };

  /// Read once for all who ask about the same time.
  void past(Kept& kept, std::chrono::seconds fresh, HttpServer::Answer answer, std::function<std::string()> read) {
    if (std::chrono::steady_clock::now() < kept.until) return answer({200, "application/json", kept.body});
    kept.waiting.push_back(std::move(answer));
    if (kept.waiting.size() > 1) return;
    asio::post(jobs_, [this, &kept, fresh, read = std::move(read)] {
      asio::post(loop_, [&kept, fresh, body = read()]() mutable {
        kept.body = std::move(body);
        kept.until = std::chrono::steady_clock::now() + fresh;
        for (HttpServer::Answer& one : std::exchange(kept.waiting, {})) one({200, "application/json", kept.body});
      });
    });
  }

  /// Of the nodes that answer and of those that did: the dead tell their tale, too.
  void note_directories() {
    for (const v1::StatusReply& status : statuses_) {
      const std::string& directory = status.self().data_directory();
      if (directory.empty() || std::find(directories_.begin(), directories_.end(), directory) != directories_.end()) continue;
      if (directories_.size() == kDirectoriesMax) directories_.erase(directories_.begin());
      directories_.push_back(directory);
    }
  }

  bool ask_host(TorusId torus, v1::ControlRequest& request, v1::ControlReply& reply, ControlFailure& failure) {
    std::unique_ptr<ControlClient>& client = hosts_[torus.raw];
    if (client && client->ask(request, reply, failure)) return true;
    client = connect_to_host(torus, options_.controls(), failure);  // it may have moved
    if (client) client->set_limit(kHostLimit);
    return client && client->ask(request, reply, failure);
  }

  /// The host, or where that is not of this machine, or has no control API, a node that is linked with it.
  bool ask_for_cells(TorusId torus, v1::ControlRequest& request, v1::ControlReply& reply) {
    std::unique_ptr<ControlClient>& client = watchers_[torus.raw];
    ControlFailure failure;
    const auto asked = [&] {
      if (!client) return false;
      client->set_limit(kHostLimit);
      return client->ask(request, reply, failure) || failure.code == v1::ControlError::NOT_READY;
    };
    if (asked()) return reply.has_cells();
    client = connect_to_host(torus, options_.controls(), failure);
    if (asked()) return reply.has_cells();
    for (const std::string& where : options_.controls()) {
      client = ControlClient::connect(where, failure);
      if (asked()) return reply.has_cells();
    }
    client.reset();
    return false;
  }

  struct Cells {
    std::string levels;
    std::chrono::steady_clock::time_point at{};
    bool asking = false;
  };

  Options options_;
  asio::io_context loop_{1};
  asio::io_context jobs_{1};
  asio::executor_work_guard<asio::io_context::executor_type> loop_work_{loop_.get_executor()};
  asio::executor_work_guard<asio::io_context::executor_type> job_work_{jobs_.get_executor()};
  HttpServer server_;
  NodeWatch watch_;
  std::string state_ = "{\"nodes\":[],\"capabilities\":{\"inject\":false,\"kill\":false,\"restart\":false}}";
  NodeWatch::Statuses statuses_;
  std::array<Cells, kTorusCount> cells_;
  std::vector<std::string> directories_;
  Kept incidents_;
  std::array<Kept, kSpans.size()> series_;
  std::size_t jobs_waiting_ = 0;
  std::array<std::unique_ptr<ControlClient>, kTorusCount> hosts_, watchers_;  // of the jobs' thread
  std::thread http_thread_, job_thread_;
  bool stopped_ = false;
};

Gateway::Gateway(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Gateway::~Gateway() { stop(); }
std::string Gateway::start() { return impl_->start(); }
std::string Gateway::url() const { return impl_->url(); }
void Gateway::stop() { impl_->stop(); }

}  // namespace rse
