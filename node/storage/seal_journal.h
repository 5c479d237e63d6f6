// The journal of seals: what clients were told is safe. Append-only frames; several seals share one
// wait for the disk. It also remembers the last DropCuts, so that cuts whose removal a crash undid
// stay dropped. Layout: format.md, "journal". Threads: one at a time. Memory: the seals since the
// last dropped cut, encoded. Errors: StorageError. Invariant: after a crash, each append() is there
// as a whole or not at all, in order.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "node/storage/file_system.h"
#include "torus/braid/braid_node.h"

namespace rse {

class SealJournal {
 public:
  /// What DropCuts said when it was written: of the cuts with a smaller serial, those of another
  /// run or with a smaller number are gone.
  struct Drop {
    RunId run;
    CutNumber keep_from = 0;
    std::uint64_t serial_end = 0;
    bool covers(std::uint64_t serial, RunId of_run, CutNumber cut) const {
      return serial < serial_end && (of_run != run || cut < keep_from);
    }
  };

  struct Entry {
    RunId run;
    TorusId torus;
    Epoch epoch;
    ViewNumber view;
    Bytes seal;  // encode_seal()
  };

  explicit SealJournal(FileSystem& files) : files_(files) {}
  std::optional<StorageError> create();
  /// Reads it and removes what a crash left half-written at its end.
  std::optional<StorageError> open();

  std::optional<StorageError> append(std::span<const PersistSeals* const> groups);
  /// Forgets the seals that the drop allows to forget; durable once it returns.
  std::optional<StorageError> drop(const Drop& drop);
  const std::optional<Drop>& last_drop() const { return drop_; }
  bool empty() const { return seals_.empty() && !drop_; }

  /// The seals held, by run, torus and epoch; of several for the same epoch the one of the latest
  /// view.
  std::vector<RecoveredSeal> seals() const;
  /// True when most of the file is forgotten seals: compact() then rewrites it.
  bool wants_compaction() const;
  std::optional<StorageError> compact();

 private:
  std::optional<StorageError> write_frame(std::span<const std::byte> payload);
  std::optional<std::string> read_payload(std::span<const std::byte> payload);
  void forget(const Drop& drop);
  Bytes header() const;
  Bytes frame(std::span<const std::byte> payload) const;
  /// Where the first whole frame of a sequence from `sequence_` on starts at or after `offset`.
  bool holds_later_frame(std::span<const std::byte> bytes, std::size_t offset) const;

  FileSystem& files_;
  std::uint64_t salt_ =
      0;  // of this file; part of every frame's CRC, so that no client can forge a frame
  std::uint64_t sequence_ = 1;  // of the next frame
  std::uint64_t end_ = 0;       // of the frames
  std::uint64_t file_bytes_ = 0;
  std::optional<Drop> drop_;
  std::deque<Entry> seals_;
  std::size_t seal_bytes_ = 0;  // of seals_, encoded
};

}  // namespace rse
