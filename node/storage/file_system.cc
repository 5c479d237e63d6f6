#include "node/storage/file_system.h"

#include <cerrno>
#include <cstring>

namespace rse {

namespace {
const char* next_step(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or move --data-dir to another disk, then start the node again";
    case EACCES:
    case EPERM:
      return "give the directory to the user that runs rse-node, or choose another --data-dir";
    case EROFS:
      return "the file system is mounted read-only (often after a disk error, see dmesg): mend it, "
             "then start the node again";
    case EIO:
      return "the disk is failing (see dmesg): start the node with an empty --data-dir on another "
             "disk";
    case ENOENT:
      return "something removed it while the node ran: start the node again";
    default:
      return "mend that, then start the node again";
  }
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}
}  // namespace

StorageError file_error(const FileSystem& files, const char* verb, const std::string& path) {
  const int error = errno;
  return {std::string("cannot ") + verb + " " + files.shown(path) + ": " + std::strerror(error) +
          "; " + next_step(error)};
}

StorageError corrupt_error(const FileSystem& files, const std::string& path,
                           const std::string& what) {
  return {files.shown(path) + " is corrupt: " + what +
          "; the rest of the cluster still has what this node held: keep this directory for "
          "inspection and start the node "
          "with an empty --data-dir, which makes it a new member"};
}

std::optional<StorageError> replace_file(FileSystem& files, const std::string& path,
                                         std::span<const std::byte> bytes) {
  const std::string temporary = path + ".tmp";
  if (!files.write_new(temporary, bytes)) return file_error(files, "write", temporary);
  if (!files.sync(temporary)) return file_error(files, "write", temporary);
  if (!files.rename(temporary, path)) return file_error(files, "replace", path);
  if (!files.sync_directory(parent_of(path))) return file_error(files, "write", path);
  return std::nullopt;
}

}  // namespace rse
