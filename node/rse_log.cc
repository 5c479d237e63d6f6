#include "node/rse_log.h"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>

#include "node/rse_text.h"

namespace rse {
namespace {

constexpr std::chrono::seconds kFoldSeconds{10};
constexpr std::size_t kFoldedLinesMax = 256;
constexpr std::size_t kQueuedLinesMax = 4096;

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  return std::any_of(value.begin(), value.end(), [](unsigned char c) {
    return c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F;
  });
}

}  // namespace

Log::Log(spdlog::level::level_enum level, LogFormat format) : format_(format) {
  spdlog::init_thread_pool(kQueuedLinesMax, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  logger_ = std::make_shared<spdlog::async_logger>("rse", std::move(sink), spdlog::thread_pool(),
                                                   spdlog::async_overflow_policy::overrun_oldest);
  logger_->set_level(level);
  logger_->set_pattern(format == LogFormat::kJson
                           ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                           : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                       spdlog::pattern_time_type::utc);
  logger_->flush_on(spdlog::level::info);
}

Log::~Log() {
  logger_.reset();
  spdlog::shutdown();
}

void Log::flush() { logger_->flush(); }

std::string Log::render(spdlog::level::level_enum, std::string_view event,
                        std::initializer_list<LogField> fields) const {
  std::string line;
  if (format_ == LogFormat::kJson) {
    line = fmt::format(R"("event":"{}")", json_escaped(event));
    for (const LogField& field : fields)
      line += fmt::format(R"(,"{}":"{}")", field.key, json_escaped(field.value));
    return line;
  }
  line = event;
  for (const LogField& field : fields) {
    line += needs_quotes(field.value) ? fmt::format(R"( {}="{}")", field.key, json_escaped(field.value))
                                      : fmt::format(" {}={}", field.key, field.value);
  }
  return line;
}

void Log::write(spdlog::level::level_enum level, std::string_view event,
                std::initializer_list<LogField> fields) {
  if (!logger_->should_log(level)) return;
  std::string line = render(level, event, fields);
  const auto now = std::chrono::steady_clock::now();
  std::uint64_t suppressed = 0;
  {
    const std::lock_guard lock(mutex_);
    auto [at, fresh] = repeats_.try_emplace(line, Repeat{now, 0});
    if (!fresh) {
      if (now - at->second.written < kFoldSeconds) {
        ++at->second.suppressed;
        return;
      }
      suppressed = std::exchange(at->second.suppressed, 0);
      at->second.written = now;
    } else if (repeats_.size() > kFoldedLinesMax) {
      std::erase_if(repeats_, [&](const auto& entry) { return now - entry.second.written >= kFoldSeconds; });
      if (repeats_.size() > kFoldedLinesMax) repeats_.clear();
    }
  }
  if (suppressed > 0)
    line += format_ == LogFormat::kJson ? fmt::format(R"(,"repeated":{})", suppressed)
                                        : fmt::format(" repeated={}", suppressed);
  logger_->log(level, fmt::runtime("{}"), line);
}

}  // namespace rse
