// What people want to know later, in a SQLite file beside the node's data: incidents, and what was counted each second.
// Size: kHistoryIncidentsMax incidents and kHistorySamplesMax samples, the file at most kHistoryFileBytesMax; the oldest go
// first. Threads: one at a time. Memory: SQLite's cache, 2 MB. Errors: sentences; nothing that the cluster needs is here, so a
// damaged file is put aside and a new one begun.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "proto/rse/v1/control.pb.h"

namespace rse {

inline constexpr std::uint64_t kHistoryIncidentsMax = 20'000;
inline constexpr std::uint64_t kHistorySamplesMax = 86'400;  // a day
inline constexpr std::uint64_t kHistoryFileBytesMax = 64u << 20;
inline constexpr std::size_t kHistoryTextBytesMax = 512;
inline constexpr std::uint32_t kHistoryPageMax = 4096;
inline constexpr const char* kHistoryFile = "/history.db";

class HistoryStore {
 public:
  struct Limits {
    std::uint64_t incidents = kHistoryIncidentsMax;
    std::uint64_t samples = kHistorySamplesMax;
  };
  /// Opens or makes the file; ":memory:" is one that goes with the object. nullptr: `failure` says why. `warning`: a damaged
  /// file was put aside.
  static std::unique_ptr<HistoryStore> open(const std::string& path, Limits limits, std::string& warning, std::string& failure);
  /// Another program's file, to look at only.
  static std::unique_ptr<HistoryStore> open_to_read(const std::string& path, std::string& failure);
  ~HistoryStore();
  HistoryStore(const HistoryStore&) = delete;
  HistoryStore& operator=(const HistoryStore&) = delete;

  /// Whose history it is: comes back with everything that is read.
  std::string set_owner(std::uint64_t node, const std::string& name);
  /// Writes all or nothing. Empty, or what failed. Numbers of `incidents` are given here.
  std::string add(std::span<const v1::IncidentRecord> incidents, std::span<const v1::HistorySample> samples);
  std::string read(const v1::HistoryRequest& request, v1::HistoryReply& reply);

 private:
  struct Database;
  explicit HistoryStore(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace rse
