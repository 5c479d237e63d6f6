// A node's data directory: identity, vote, cuts (content-addressed by BLAKE2b-256), seal journal,
// scenario. A crash at any write leaves the old or the new state. Layout: node/storage/format.md.
// Threads: open() on any; then persist_vote() on one thread, the other writing calls on another, each
// in order. Memory: what is passed in. Errors: StorageError with the file, the cause and the next step; after a failed write
// the directory refuses further writes (what the disk holds is unknown) until it is opened again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "node/storage/cut_store.h"
#include "node/storage/file_system.h"
#include "torus/braid/braid_node.h"

namespace rse {

struct Identity {
  NodeId node;
  std::uint64_t incarnation = 0;     // +1, durably, at each open()
  std::optional<ClusterId> cluster;  // set once the node has founded or joined one
};

class DataDirectory {
 public:
  /// Opens or makes it, takes the lock (flock; "in use by process N" otherwise), increments the
  /// incarnation durably, verifies every digest and CRC, drops what a crash left half-written, and
  /// refuses (never repairs silently) what is corrupt, except that a corrupt cut is set aside and
  /// reported in `warnings` when an older whole one remains.
  static std::unique_ptr<DataDirectory> open(const std::string& path, StorageError& error);
  /// For tests and the simulator: without a lock, over any FileSystem. `vote_files` are the same files for a second
  /// thread; null: one thread writes everything.
  static std::unique_ptr<DataDirectory> open(std::unique_ptr<FileSystem> files, StorageError& error,
                                             std::unique_ptr<FileSystem> vote_files = nullptr);
  ~DataDirectory();

  const Identity& identity() const;
  const std::vector<std::string>& warnings() const;
  Recovered take_recovered();

  std::optional<StorageError> set_cluster(ClusterId cluster);
  /// Carries out one record of the braid; returns when it is durable. A DropCuts may remove files
  /// after that.
  std::optional<StorageError> persist(const Persist& work);
  /// Several at once: one wait for all seals, one for the names of all cuts. Votes, scenarios and
  /// drops keep their place in the order; of seals and cuts between them any may be there after a
  /// crash, as nothing was answered yet.
  /// `between` is called again and again while a cut is written, every half megabyte: it may persist
  /// seals, which then overtake the cut; what it returns ends the call.
  std::optional<StorageError> persist(std::span<const Persist> works, const BetweenPieces& between = {});
  /// Only the vote, in a file of its own: waits for nothing that another thread is writing.
  std::optional<StorageError> persist_vote(const PersistVote& vote);

 private:
  struct Impl;
  explicit DataDirectory(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rse
