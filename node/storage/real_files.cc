// FileSystem over POSIX calls. Files being written keep their descriptor open until they are
// renamed or removed, so that a vote costs one pwrite and one fdatasync.
#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>

#include "node/storage/file_system.h"

namespace rse {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    errno = error;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

bool write_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return true;
}

std::optional<Bytes> read_exactly(int fd, std::uint64_t offset, std::size_t size) {
  Bytes bytes(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) {
      errno = EIO;
      return std::nullopt;
    }
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

class RealFiles final : public FileSystem {
 public:
  explicit RealFiles(std::string root) : root_(std::move(root)) {}

  bool make_directory(const std::string& path) override {
    return ::mkdir(shown(path).c_str(), 0700) == 0 || errno == EEXIST;
  }
  bool write_new(const std::string& path, std::span<const std::byte> bytes) override {
    written_.erase(path);
    const int fd = ::open(shown(path).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    written_.emplace(path, Descriptor(fd));
    return write_all(fd, bytes, 0);
  }
  bool append(const std::string& path, std::span<const std::byte> bytes) override {
    const int fd = writable(path);
    if (fd < 0) return false;
    struct stat status {};
    if (::fstat(fd, &status) != 0) return false;
    return write_all(fd, bytes, static_cast<std::uint64_t>(status.st_size));
  }
  bool write_at(const std::string& path, std::uint64_t offset,
                std::span<const std::byte> bytes) override {
    const int fd = writable(path);
    return fd >= 0 && write_all(fd, bytes, offset);
  }
  bool sync(const std::string& path) override {
    const int fd = writable(path);
    return fd >= 0 && ::fdatasync(fd) == 0;
  }
  bool sync_directory(const std::string& path) override {
    const Descriptor directory(::open(shown(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory.get() >= 0 && ::fsync(directory.get()) == 0;
  }
  bool rename(const std::string& from, const std::string& to) override {
    written_.erase(from);
    written_.erase(to);
    return ::rename(shown(from).c_str(), shown(to).c_str()) == 0;
  }
  bool remove(const std::string& path) override {
    written_.erase(path);
    return ::unlink(shown(path).c_str()) == 0;
  }
  bool truncate(const std::string& path, std::uint64_t size) override {
    const int fd = writable(path);
    return fd >= 0 && ::ftruncate(fd, static_cast<off_t>(size)) == 0;
  }
  std::optional<Bytes> read(const std::string& path) override {
    const auto bytes = size(path);
    return bytes ? read_part(path, 0, *bytes) : std::nullopt;
  }
  std::optional<Bytes> read_part(const std::string& path, std::uint64_t offset,
                                 std::size_t size) override {
    const Descriptor file(::open(shown(path).c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return std::nullopt;
    return read_exactly(file.get(), offset, size);
  }
  std::optional<std::uint64_t> size(const std::string& path) override {
    struct stat status {};
    if (::stat(shown(path).c_str(), &status) != 0) return std::nullopt;
    return static_cast<std::uint64_t>(status.st_size);
  }
  std::optional<std::vector<std::string>> list(const std::string& path) override {
    DIR* directory = ::opendir(shown(path).c_str());
    if (directory == nullptr) return std::nullopt;
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
  }
  std::uint64_t random() override {
    std::uint64_t value = 0;
    while (::getrandom(&value, sizeof(value), 0) != static_cast<ssize_t>(sizeof(value))) {
    }
    return value;
  }
  std::string shown(const std::string& path) const override {
    return path.empty() ? root_ : root_ + "/" + path;
  }

 private:
  int writable(const std::string& path) {
    if (const auto found = written_.find(path); found != written_.end()) return found->second.get();
    const int fd = ::open(shown(path).c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0) written_.emplace(path, Descriptor(fd));
    return fd;
  }

  std::string root_;
  std::map<std::string, Descriptor> written_;
};

}  // namespace

std::unique_ptr<FileSystem> real_file_system(const std::string& root) {
  return std::make_unique<RealFiles>(root);
}

}  // namespace rse
