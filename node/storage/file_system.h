// The file operations that storage uses, so that tests and simulations can cut, tear and fail every
// one of them. Threads: one at a time. Memory: what is read or written. Errors: false or nullopt,
// with errno set.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"

namespace rse {

/// One message for a person: the file, the cause, the next step.
struct StorageError {
  std::string text;
};

/// Paths are relative to one directory. Nothing is durable before the sync() of the file and, for a
/// new name, the sync_directory() of its directory ("" is the root).
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual bool make_directory(const std::string& path) = 0;  // one that exists is fine
  virtual bool write_new(const std::string& path,
                         std::span<const std::byte> bytes) = 0;  // create or truncate, write
  virtual bool append(const std::string& path,
                      std::span<const std::byte> bytes) = 0;  // to a file that exists
  /// Overwrites, or extends, a file that exists.
  virtual bool write_at(const std::string& path, std::uint64_t offset,
                        std::span<const std::byte> bytes) = 0;
  virtual bool sync(const std::string& path) = 0;            // fdatasync
  virtual bool sync_directory(const std::string& path) = 0;  // fsync of the directory
  virtual bool rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual bool remove(const std::string& path) = 0;
  virtual bool truncate(const std::string& path, std::uint64_t size) = 0;
  virtual std::optional<Bytes> read(const std::string& path) = 0;
  /// Exactly `size` bytes, or EIO where the file ends before.
  virtual std::optional<Bytes> read_part(const std::string& path, std::uint64_t offset,
                                         std::size_t size) = 0;
  virtual std::optional<std::uint64_t> size(const std::string& path) = 0;
  /// Names, sorted; nullopt with errno where the directory cannot be read.
  virtual std::optional<std::vector<std::string>> list(const std::string& path) = 0;
  /// For node ids and salts: the one source of randomness of a data directory.
  virtual std::uint64_t random() = 0;
  /// The path as a person knows it.
  virtual std::string shown(const std::string& path) const = 0;
};

/// Files below the directory `root`, which exists.
std::unique_ptr<FileSystem> real_file_system(const std::string& root);

/// "cannot VERB FILE: CAUSE; NEXT STEP" from errno.
StorageError file_error(const FileSystem& files, const char* verb, const std::string& path);
/// "FILE is corrupt: WHAT; NEXT STEP".
StorageError corrupt_error(const FileSystem& files, const std::string& path,
                           const std::string& what);

/// Replaces the file as a whole: after a crash it is the old one or the new one. Two waits for the
/// disk.
std::optional<StorageError> replace_file(FileSystem& files, const std::string& path,
                                         std::span<const std::byte> bytes);

}  // namespace rse
