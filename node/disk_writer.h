// The threads that write the data directory, so that no disk delays a heartbeat: one for everything that waits, together with
// one wait for the disk (group commit) and in the order of submission; one for votes, which a failover waits for: a vote never
// waits for the megabytes of a cut that is being written. Seals overtake such a cut too: a torus goes on while it is written.
// Threads: calls and callbacks on the loop's. Memory: what is queued; the braid waits for answers, which bounds it.
// Errors: the first failure is reported once; nothing is written after it.
// Invariant: what is submitted after a vote is not begun before that vote is durable.
#pragma once

#include <asio/io_context.hpp>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "node/mailbox.h"
#include "node/priority_mutex.h"
#include "node/storage/data_directory.h"

namespace rse {

class DiskWriter {
 public:
  struct Callbacks {
    std::function<void(std::uint64_t token)> on_persisted;
    std::function<void(const StorageError&)> on_failed;
  };
  /// `record_path`: the side file of append_record(), see control_record.h.
  DiskWriter(DataDirectory& directory, std::string record_path, asio::io_context& loop,
             Callbacks callbacks);
  ~DiskWriter();
  DiskWriter(const DiskWriter&) = delete;
  DiskWriter& operator=(const DiskWriter&) = delete;

  void submit(Persist work);
  void set_cluster(ClusterId cluster);
  /// Appends to the record, without waiting for the disk: it survives the end of the process, not a loss of power.
  /// `restart` empties it first. Written before everything that is submitted later.
  void append_record(Bytes bytes, bool restart);
  /// Writes what is queued and ends the thread; no callback afterwards.
  void stop();

 private:
  struct Item {
    std::vector<Persist> works;
    std::vector<ClusterId> clusters;  // at most one
    Bytes record;
    bool restart_record = false;
    bool empty() const { return works.empty() && clusters.empty() && record.empty() && !restart_record; }
  };
  Item take_next();  // with mutex_ held
  void run();
  void run_votes();
  void report(std::string failure, std::vector<std::uint64_t> tokens);
  std::string write(Item& item);  // empty, or what failed
  std::optional<StorageError> write_seals();
  std::string write_record(const Item& item);

  DataDirectory& directory_;
  std::string record_path_;
  int record_file_ = -1;
  Callbacks callbacks_;
  PriorityMutex mutex_;
  PriorityCondition wake_, wake_votes_;
  Item queued_;
  std::deque<Persist> votes_;  // the first one is being written
  bool stopping_ = false;
  std::atomic<bool> failed_{false};
  Mailbox mailbox_;
  std::thread thread_, vote_thread_;
};

}  // namespace rse
