// The daemon's log: an event name and key=value fields, as text or as one JSON object a line, on stderr.
// Threads: any; formatting happens on the caller's, writing on a thread of its own, so that a slow terminal never delays
// a heartbeat (the oldest lines are dropped instead). Memory: bounded. Errors: none.
#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace rse {

enum class LogFormat : std::uint8_t { kText, kJson };

struct LogField {
  std::string_view key;
  std::string value;
};

class Log {
 public:
  Log(spdlog::level::level_enum level, LogFormat format);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Identical lines within kFoldSeconds are counted instead of written; the next one carries `repeated=N`.
  void write(spdlog::level::level_enum level, std::string_view event,
             std::initializer_list<LogField> fields);
  /// Waits until everything is written.
  void flush();

 private:
  struct Repeat {
    std::chrono::steady_clock::time_point written;
    std::uint64_t suppressed = 0;
  };
  std::string render(spdlog::level::level_enum level, std::string_view event,
                     std::initializer_list<LogField> fields) const;

  LogFormat format_;
  std::shared_ptr<spdlog::logger> logger_;
  std::mutex mutex_;
  std::map<std::string, Repeat, std::less<>> repeats_;
};

}  // namespace rse
