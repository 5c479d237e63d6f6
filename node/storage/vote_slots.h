// The vote record of a node: what it promised and accepted, and must never forget. On the critical
// path of a failover, so a vote costs one write in place and one wait for the disk. Layout:
// format.md, "vote". Threads: one at a time. Memory: twice the record. Errors: StorageError.
// Invariant: after a crash, the old or the new.
#pragma once

#include <optional>

#include "node/storage/file_system.h"

namespace rse {

inline constexpr std::size_t kVoteBytesMax = 16u << 20;

class VoteSlots {
 public:
  explicit VoteSlots(FileSystem& files) : files_(files) {}
  /// Makes the file without a vote. Durable once it returns.
  std::optional<StorageError> create();
  /// Reads the file; one that is missing or without a readable slot is an error, because a node
  /// that forgot its vote could vote twice.
  std::optional<StorageError> open();
  std::optional<StorageError> write(std::span<const std::byte> record);
  /// nullopt: never voted.
  const std::optional<Bytes>& record() const { return record_; }

 private:
  std::optional<StorageError> make_file(std::uint32_t slot_bytes,
                                        std::span<const std::byte> record);

  FileSystem& files_;
  std::uint32_t slot_bytes_ = 0;
  std::uint64_t sequence_ = 0;  // of the newest record; its slot is sequence_ % 2
  std::optional<Bytes> record_;
};

}  // namespace rse
