#include "transport/ivshmem/region_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace rse {
namespace {

constexpr std::uint32_t kFileLockByte = kParticipantsMax;
constexpr int kOpenTriesMax = 16;  // somebody removes the file while we open it
constexpr std::chrono::milliseconds kFileLockLimit{300};

std::string system_text(int error) { return std::strerror(error); }

}  // namespace

std::unique_ptr<RegionFile> RegionFile::open(const IvshmemAddress& address, RegionOpen mode, RegionClaim claim,
                                             std::string& error) {
  error.clear();
  for (int tries = 0; tries < kOpenTriesMax; ++tries) {
    std::unique_ptr<RegionFile> file(new RegionFile);
    bool again = false;
    error = file->open_file(address.path, address.region_bytes, mode, again);
    if (again) continue;
    if (!error.empty() || file->file_ < 0) return nullptr;
    if (claim == RegionClaim::kSlot) {
      error = file->take_slot(address);
      if (error.empty()) error = file->allocate();
    }
    file->unlock(kFileLockByte);
    return error.empty() ? std::move(file) : nullptr;
  }
  error = "cannot use " + address.path + ": others keep removing it; choose another name";
  return nullptr;
}

/// On success the lock of the file is held.
std::string RegionFile::open_file(const std::string& path, std::size_t region_bytes, RegionOpen mode, bool& again) {
  path_ = path;
  const int create = mode == RegionOpen::kCreate ? O_CREAT : 0;
  file_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | create, 0600);
  if (file_ < 0) {
    if (errno == ENOENT && create == 0) return {};
    return "cannot open the shared memory " + path + ": " + system_text(errno) + "; check the name and its permissions";
  }
  if (!lock_soon(kFileLockByte)) {
    return "cannot use the shared memory " + path + ": another process keeps its lock; is one of them stopped?";
  }
  struct stat open_one {}, named {};
  if (::fstat(file_, &open_one) != 0 || !S_ISREG(open_one.st_mode)) {
    return "cannot use " + path + ": it is no ordinary file; choose another name";
  }
  if (open_one.st_uid != ::geteuid()) {
    return "cannot use " + path + ": it belongs to user " + std::to_string(open_one.st_uid) + "; choose another name";
  }
  again = ::stat(path.c_str(), &named) != 0 || named.st_ino != open_one.st_ino || named.st_dev != open_one.st_dev;
  if (again) return {};
  if (open_one.st_size == 0) {
    if (create == 0) {
      unlock(kFileLockByte);
      ::close(std::exchange(file_, -1));
      return {};
    }
    if (::ftruncate(file_, static_cast<off_t>(region_bytes)) != 0) {
      return "cannot make " + path + " of " + std::to_string(region_bytes >> 20) + " MiB: " + system_text(errno);
    }
    open_one.st_size = static_cast<off_t>(region_bytes);
  }
  return map(static_cast<std::size_t>(open_one.st_size));
}

std::string RegionFile::map(std::size_t region_bytes) {
  void* const mapped = ::mmap(nullptr, region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (mapped == MAP_FAILED) return "cannot map " + path_ + ": " + system_text(errno) + "; choose a smaller size-mb";
  memory_ = static_cast<std::byte*>(mapped);
  size_ = region_bytes;
  const auto region = RingRegion::over({memory_, size_});
  if (!region) return "cannot use " + path_ + ": it is too small; remove it or choose another name";
  region_ = *region;
  ours_ = region_.formatted();
  if (ours_) return {};
  std::uint64_t magic = 0;
  std::memcpy(&magic, memory_, sizeof magic);
  if (magic != 0) {
    return "cannot use " + path_ + ": it is no memory of this version of RSE; stop what uses it and remove it, or choose another name";
  }
  if (::posix_fallocate(file_, 0, kDataOffset) != 0) return "cannot use " + path_ + ": the file system is full; make room";
  std::uint64_t id = 0;
  if (::getrandom(&id, sizeof id, 0) != sizeof id) id = 0;
  region_.format(id | 1);
  ours_ = true;
  return {};
}

std::string RegionFile::take_slot(const IvshmemAddress& address) {
  const std::uint32_t first = address.slot.value_or(0);
  const std::uint32_t last = address.slot.value_or(kParticipantsMax - 1);
  for (std::uint32_t slot = first; slot <= last; ++slot) {
    if (has_guest(slot) || !lock(slot)) continue;
    slot_ = slot;
    return {};
  }
  if (address.slot) return "slot " + std::to_string(first) + " of " + path_ + " is taken; leave it out to get a free one";
  return path_ + " has its " + std::to_string(kParticipantsMax) + " participants already; use another name, or tcp";
}

/// Present, and without a process: a lock may be missing because nobody here looks after it.
bool RegionFile::has_guest(std::uint32_t slot) const {
  return (load_acquire(region_.presence(slot)) & 1) != 0 && load_relaxed(region_.slot(slot).process) == 0;
}

std::uint32_t RegionFile::hold_for_guest() {
  if (!lock_soon(kFileLockByte)) return kParticipantsMax;
  std::uint32_t slot = 0;
  // Our own locks do not stop us: what we hold is in guests_.
  while (slot < kParticipantsMax && ((guests_ >> slot & 1) != 0 || slot == slot_ || has_guest(slot) || !lock(slot))) ++slot;
  unlock(kFileLockByte);
  if (slot < kParticipantsMax) guests_ |= 1u << slot;
  return slot;
}

void RegionFile::release_guest(std::uint32_t slot) {
  std::uint64_t& presence = region_.presence(slot);
  store_release(presence, load_acquire(presence) & ~std::uint64_t{1});
  guests_ &= ~(1u << slot);
  unlock(slot);
}

std::string RegionFile::allocate() {
  int error = ::posix_fallocate(file_, 0, kDataOffset);
  for (std::uint32_t to = 0; to < kParticipantsMax && error == 0; ++to) {
    if (to == slot_) continue;
    error = ::posix_fallocate(file_, region_.ring_data(slot_, to) - memory_, region_.ring_bytes());
  }
  if (error == 0) return {};
  return "cannot use " + path_ + ": no room for our rings of " + std::to_string(7ul * region_.ring_bytes() >> 10) +
         " KiB (" + system_text(error) + "); make room there, or give a smaller size-mb";
}

std::string RegionFile::bell_path(std::uint32_t slot) const { return path_ + ".bell." + std::to_string(slot); }

int RegionFile::open_bell(std::uint32_t slot, std::string& error) const {
  const std::string path = bell_path(slot);
  if (::mkfifo(path.c_str(), 0600) != 0 && errno != EEXIST) {
    error = "cannot make the pipe " + path + ": " + system_text(errno);
    return -1;
  }
  // Reading and writing: then it never has an end, and writing never raises a signal.
  const int bell = ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  struct stat info {};
  if (bell >= 0 && ::fstat(bell, &info) == 0 && S_ISFIFO(info.st_mode) && info.st_uid == ::geteuid()) return bell;
  if (bell >= 0) ::close(bell);
  error = "cannot use the pipe " + path + ": it is not ours; remove it";
  return -1;
}

RegionFile::~RegionFile() {
  for (std::uint32_t slot = 0; slot < kParticipantsMax; ++slot) {
    if ((guests_ >> slot & 1) != 0) release_guest(slot);
  }
  if (ours_ && lock_soon(kFileLockByte)) {
    if (slot_ < kParticipantsMax) unlock(slot_);
    if (!anybody_else()) {
      for (std::uint32_t slot = 0; slot < kParticipantsMax; ++slot) ::unlink(bell_path(slot).c_str());
      ::unlink(path_.c_str());
    }
  }
  for (const int bell : bells_) {
    if (bell >= 0) ::close(bell);
  }
  if (memory_ != nullptr) ::munmap(memory_, size_);
  if (file_ >= 0) ::close(file_);
}

bool RegionFile::anybody_else() const {
  for (std::uint32_t slot = 0; slot < kParticipantsMax; ++slot) {
    if (slot == slot_) continue;
    if (held(slot) || has_guest(slot)) return true;
  }
  return false;
}

bool RegionFile::held(std::uint32_t slot) const {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = slot;
  range.l_len = 1;
  return ::fcntl(file_, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

void RegionFile::declare_dead(std::uint32_t slot) {
  if (slot == slot_ || !lock(slot)) return;
  std::uint64_t& presence = region_.presence(slot);
  store_release(presence, load_acquire(presence) & ~std::uint64_t{1});
  unlock(slot);
}

void RegionFile::release_slot() { unlock(slot_); }

void RegionFile::ring(std::uint32_t slot) {
  int& bell = bells_[slot];
  std::string ignored;
  if (bell < 0) bell = open_bell(slot, ignored);
  // A full pipe has been rung already.
  if (bell >= 0) (void)!::write(bell, "", 1);
}

bool RegionFile::lock(std::uint32_t byte) const {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  return ::fcntl(file_, F_OFD_SETLK, &range) == 0;
}

bool RegionFile::lock_soon(std::uint32_t byte) const {
  const auto end = std::chrono::steady_clock::now() + kFileLockLimit;
  while (!lock(byte)) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void RegionFile::unlock(std::uint32_t byte) const {
  struct flock range {};
  range.l_type = F_UNLCK;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  (void)::fcntl(file_, F_OFD_SETLK, &range);
}

}  // namespace rse
