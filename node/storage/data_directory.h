// A node's data directory: identity, vote, cuts (content-addressed by BLAKE2b-256), seal journal, scenario. A crash at any
// write leaves the old or the new state. Layout: node/storage/format.md.
// Threads: open() on any; then the writing calls from one writer thread, in order. Memory: what is passed in.
// Errors: StorageError with the file, the cause and the next step; after a failed write the directory refuses further
// writes (what the disk holds is unknown) until it is opened again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "torus/braid/braid_node.h"

namespace rse {

struct StorageError { std::string text; };

struct Identity {
  NodeId node;
  std::uint64_t incarnation = 0;     // +1, durably, at each open()
  std::optional<ClusterId> cluster;  // set once the node has founded or joined one
};

/// The file operations that storage uses, so that tests can cut, tear and fail every one of them. Paths are relative to
/// the directory. All return false with errno set on failure.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual bool make_directory(const std::string& path) = 0;
  virtual bool write_new(const std::string& path, std::span<const std::byte> bytes) = 0;  // create or truncate, write
  virtual bool append(const std::string& path, std::span<const std::byte> bytes) = 0;
  virtual bool sync(const std::string& path) = 0;            // fdatasync
  virtual bool sync_directory(const std::string& path) = 0;  // fsync of the directory
  virtual bool rename(const std::string& from, const std::string& to) = 0;
  virtual bool remove(const std::string& path) = 0;
  virtual bool truncate(const std::string& path, std::uint64_t size) = 0;
  virtual std::optional<Bytes> read(const std::string& path) = 0;  // nullopt with errno; ENOENT: none
  virtual std::vector<std::string> list(const std::string& path) = 0;
};
std::unique_ptr<FileSystem> real_file_system(const std::string& root);

class DataDirectory {
 public:
  /// Opens or makes it, takes the lock (flock; "in use by process N" otherwise), increments the incarnation durably,
  /// verifies every digest and CRC, drops what a crash left half-written, and refuses (never repairs silently) what is
  /// corrupt, except that a corrupt cut is set aside and reported in `warnings` when an older whole one remains.
  static std::unique_ptr<DataDirectory> open(const std::string& path, StorageError& error);
  /// For tests: without a lock, over any FileSystem.
  static std::unique_ptr<DataDirectory> open(std::unique_ptr<FileSystem> files, StorageError& error);
  ~DataDirectory();

  const Identity& identity() const;
  const std::vector<std::string>& warnings() const;
  Recovered take_recovered();

  std::optional<StorageError> set_cluster(ClusterId cluster);
  /// Carries out one record of the braid; returns when it is durable.
  std::optional<StorageError> persist(const Persist& work);
  /// Several at once with one wait for the disk where that is possible (group commit of seals).
  std::optional<StorageError> persist(std::span<const Persist> works);

 private:
  struct Impl;
  explicit DataDirectory(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rse
