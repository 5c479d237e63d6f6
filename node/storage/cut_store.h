// The cuts on disk, their regions addressed by BLAKE2b-256 digest: a region that some file holds is
// not written again. Layout and the argument why a crash is harmless: format.md, "cuts/". Threads:
// one at a time. Memory: an index, about 100 bytes a region. Errors: StorageError. Invariant: every
// cut that add() and commit() returned for can be read back as a whole, until drop() allows to
// forget it. Size: files that serve a new cut are at least half used by the newest cuts; what they
// hold for them is written again otherwise, so that old files go when the old cuts go.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "node/storage/cut_file.h"
#include "node/storage/seal_journal.h"

namespace rse {

/// Called between two pieces of megabytes that are being checked or written.
using BetweenPieces = std::function<std::optional<StorageError>()>;

class CutStore {
 public:
  explicit CutStore(FileSystem& files) : files_(files) {}
  std::optional<StorageError> create();
  /// Reads all headers and every region of every cut that is not dropped, and removes what nobody
  /// needs. A cut that is damaged is left out with a warning where another whole cut of its torus
  /// remains, else it is an error.
  std::optional<StorageError> open(const std::optional<SealJournal::Drop>& drop,
                                   std::vector<RecoveredCut>& recovered,
                                   std::vector<std::string>& warnings);

  /// Writes the file of a cut, in pieces; it counts only after commit().
  std::optional<StorageError> add(const PersistCut& cut, const BetweenPieces& between = {});
  /// Makes all cuts added since the last commit() durable, with one wait for the directory.
  std::optional<StorageError> commit();
  /// Forgets cuts. The drop itself must be durable (in the journal) before.
  std::optional<StorageError> drop(const SealJournal::Drop& drop);
  /// Makes the removal of files durable, so that the drops that caused it need not be remembered.
  std::optional<StorageError> sync_removals();
  std::uint64_t next_serial() const { return next_serial_; }
  bool empty() const { return files_by_serial_.empty(); }

 private:
  struct Place {
    std::uint64_t serial;
    std::uint64_t offset;
    std::uint32_t size;
  };
  struct DigestHash {
    std::size_t operator()(const Digest256& digest) const {
      std::size_t value;
      std::memcpy(&value, digest.bytes.data(), sizeof(value));
      return value;
    }
  };
  struct Entry {
    CutFile file;
    std::string path;
    bool live = true;     // its own cut is kept; otherwise the file is here for its regions only
    bool broken = false;  // damaged: never trusted with a region again, goes as soon as its cut may
  };

  std::optional<Place> find(const Digest256& digest) const;
  std::optional<StorageError> read_names(const std::optional<SealJournal::Drop>& drop,
                                         std::vector<std::string>& damaged);
  std::optional<std::string> read_cut(const Entry& entry, RecoveredCut& cut);
  std::optional<Bytes> read_region(const Digest256& digest);
  void index(const CutFile& file);
  void supersede();
  std::map<std::uint64_t, std::uint64_t> used_bytes(const CutFile& newest) const;
  std::optional<StorageError> remove_unneeded();
  std::optional<StorageError> write(CutFile& file, const PersistCut& cut, const BetweenPieces& between);

  FileSystem& files_;
  std::map<std::uint64_t, Entry> files_by_serial_;
  /// Where the regions are; the newest file first.
  std::unordered_map<Digest256, std::vector<Place>, DigestHash> places_;
  std::vector<CutFile> added_;  // waiting for commit()
  std::vector<CutName> unreadable_;
  std::uint64_t next_serial_ = 1;
  bool removals_unsynced_ = false;
};

}  // namespace rse
