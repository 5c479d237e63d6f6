// The file behind a shared memory and this process's slot in it. Spec: "On the host" in transport/ivshmem/ring.md.
// Threads: one. Memory: the mapping; what this process may write is allocated when it is opened, so that a full /dev/shm is
// an error then and no signal later. Errors: sentences. Invariant: a slot's lock is held exactly as long as its process
// lives; a child forked without exec has to close the descriptor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "transport/ivshmem/ivshmem_address.h"
#include "transport/ivshmem/layout.h"

namespace rse {

enum class RegionOpen : std::uint8_t { kCreate, kExisting };
enum class RegionClaim : std::uint8_t {
  kSlot,  // for this process
  kNone,  // it takes slots for others, later
};

class RegionFile {
 public:
  /// Maps the file, makes it where it may, and takes a slot. nullptr: `error` is a sentence; empty when there is no file
  /// and none may be made.
  static std::unique_ptr<RegionFile> open(const IvshmemAddress& address, RegionOpen mode, RegionClaim claim,
                                          std::string& error);
  /// Gives all slots back. The last one removes the file.
  ~RegionFile();
  RegionFile(const RegionFile&) = delete;
  RegionFile& operator=(const RegionFile&) = delete;

  /// Takes a free slot for a guest; kParticipantsMax: there is none.
  std::uint32_t hold_for_guest();
  /// The guest has gone.
  void release_guest(std::uint32_t slot);

  const RingRegion& region() const { return region_; }
  int descriptor() const { return file_; }
  std::uint32_t slot() const { return slot_; }
  const std::string& path() const { return path_; }
  /// Whether another process holds that slot.
  bool held(std::uint32_t slot) const;
  /// Clears the presence of a slot that nobody holds; no effect when somebody does.
  void declare_dead(std::uint32_t slot);

  /// From here on others may see that we are gone.
  void release_slot();

  /// The pipe of a slot, readable when somebody rang; made when it is not there. -1: `error` is a sentence. The caller closes it.
  int open_bell(std::uint32_t slot, std::string& error) const;
  /// Wakes the process in that slot, if it is one with a pipe.
  void ring(std::uint32_t slot);

 private:
  RegionFile() = default;
  std::string open_file(const std::string& path, std::size_t region_bytes, RegionOpen mode, bool& again);
  std::string map(std::size_t region_bytes);
  std::string take_slot(const IvshmemAddress& address);
  std::string allocate();
  std::string bell_path(std::uint32_t slot) const;
  bool has_guest(std::uint32_t slot) const;
  bool lock(std::uint32_t byte) const;
  bool lock_soon(std::uint32_t byte) const;
  void unlock(std::uint32_t byte) const;
  bool anybody_else() const;

  std::string path_;
  int file_ = -1;
  std::byte* memory_ = nullptr;
  std::size_t size_ = 0;
  RingRegion region_;
  bool ours_ = false;                      // a memory of this version, so that it may be removed
  std::uint32_t slot_ = kParticipantsMax;  // that: none yet
  std::uint32_t guests_ = 0;               // bit: a slot held for a guest
  int bells_[kParticipantsMax] = {-1, -1, -1, -1, -1, -1, -1, -1};
};

}  // namespace rse
