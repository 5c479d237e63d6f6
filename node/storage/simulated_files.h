// A disk in memory that knows what is synced: what a file system may make of the rest when the
// power goes. For tests of storage and for the simulator. Threads: one at a time. Memory: the
// files, twice. Errors: those asked for. The same seed gives the same tears.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "node/storage/file_system.h"

namespace rse {

/// What becomes of everything written but not synced.
enum class UnsyncedFate : std::uint8_t {
  kLost,  // all of it is gone: the old contents, the old names
  kKept,  // all of it arrived
  kTorn,  // each 512-byte sector, each size and each name for itself, by the seed
};

class SimulatedDisk {
 public:
  explicit SimulatedDisk(std::uint64_t seed);
  ~SimulatedDisk();

  /// The file system of one process. It is dead after the next kill() or crash().
  std::unique_ptr<FileSystem> mount();

  /// Changing operations (everything but reading) since the disk was made.
  std::uint64_t operations() const;
  /// Syncs of files and of directories among them.
  std::uint64_t syncs() const;
  /// Bytes passed to write_new(), append() and write_at().
  std::uint64_t bytes_written() const;
  /// Size of all files as a process sees them.
  std::uint64_t bytes_used() const;

  /// The process dies at that operation: a write may be half done, and nothing after it happens
  /// (EIO).
  void die_at(std::uint64_t operation);
  /// That operation fails with `error`; a write may be half done. With `lasting`, so does every
  /// write after it.
  void fail_at(std::uint64_t operation, int error, bool lasting = false);
  /// The end of the process, as by SIGKILL: the next mount() finds everything, and what was not
  /// synced still is not. Clears what die_at() and fail_at() asked for.
  void kill();
  /// The end of the machine: what is left is what the next mount() finds.
  void crash(UnsyncedFate fate);

  /// For tests of corruption; what is there counts as synced.
  bool flip_bit(const std::string& path, std::uint64_t bit);
  void put(const std::string& path, std::span<const std::byte> bytes);
  void erase(const std::string& path);

 private:
  friend class SimulatedFiles;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace rse
