#include "node/shell_life_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "node/mailbox.h"
#include "node/priority_mutex.h"
#include "node/thread_urgency.h"

namespace rse {
namespace {

constexpr std::uint64_t kMagic = 0x31306566696C7372;
constexpr const char* kFolder = "/dev/shm";

struct Page {
  std::atomic<std::uint64_t> magic;  // set last: the mutex is held
  pthread_mutex_t mutex;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

std::string prefix(NodeId node) { return fmt::format("rse-{}-{:016x}-", ::getuid(), node.raw); }

std::string path_of(NodeId node, std::uint64_t incarnation) {
  return fmt::format("{}/{}{}", kFolder, prefix(node), incarnation);
}

/// nullptr: not there, or not ours to trust.
Page* map_page(int fd) {
  struct stat info {};
  void* page = MAP_FAILED;
  if (::fstat(fd, &info) == 0 && info.st_uid == ::getuid() && info.st_size == static_cast<off_t>(sizeof(Page)))
    page = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return page == MAP_FAILED ? nullptr : static_cast<Page*>(page);
}

bool is_held_by_the_dead(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  Page* page = fd < 0 ? nullptr : map_page(fd);
  if (page == nullptr) return false;
  const bool whole = page->magic.load(std::memory_order_acquire) == kMagic;
  const int got = whole ? ::pthread_mutex_trylock(&page->mutex) : EBUSY;
  if (got == EOWNERDEAD) ::pthread_mutex_unlock(&page->mutex);  // inconsistent, so that whoever watches is told
  ::munmap(page, sizeof(Page));
  return got == EOWNERDEAD || got == ENOTRECOVERABLE;
}

/// Lives that ended without anyone watching leave their page behind: our own earlier ones, and those of others of this user.
void remove_earlier(NodeId self) {
  std::error_code error;
  const std::string ours = fmt::format("rse-{}-", ::getuid());
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(prefix(self), 0) == 0 || (name.rfind(ours, 0) == 0 && is_held_by_the_dead(entry.path())))
      ::unlink(entry.path().c_str());
  }
}

}  // namespace

struct LifeSign::Shared {
  PriorityMutex mutex;
  std::optional<Mailbox> mailbox;  // none once stopped
  std::function<void(NodeId, std::uint64_t)> on_death;
  std::string own_path;
};

LifeSign::LifeSign(asio::io_context& loop, std::function<void(NodeId, std::uint64_t)> on_death)
    : shared_(std::make_shared<Shared>()) {
  shared_->mailbox.emplace(loop);
  shared_->on_death = std::move(on_death);
}

LifeSign::~LifeSign() { stop(); }

void LifeSign::hold(NodeId self, std::uint64_t incarnation) {
  remove_earlier(self);
  const std::string path = path_of(self, incarnation);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return;
  if (::ftruncate(fd, sizeof(Page)) != 0) {
    ::close(fd);
    ::unlink(path.c_str());
    return;
  }
  Page* page = map_page(fd);
  if (page == nullptr) return;
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutex_init(&page->mutex, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
  ::pthread_mutex_lock(&page->mutex);  // never unlocked: the kernel does it
  page->magic.store(kMagic, std::memory_order_release);
  shared_->own_path = path;
}

bool LifeSign::watch(NodeId node, std::uint64_t incarnation) {
  if (const auto at = watched_.find(node.raw); at != watched_.end() && at->second == incarnation) return true;
  const std::string path = path_of(node, incarnation);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  Page* page = map_page(fd);
  if (page == nullptr || page->magic.load(std::memory_order_acquire) != kMagic) {
    if (page != nullptr) ::munmap(page, sizeof(Page));
    return false;
  }
  watched_[node.raw] = incarnation;
  // Detached: it sleeps as long as that peer lives, perhaps longer than we do.
  std::thread([shared = shared_, page, path, node, incarnation] {
    ::prctl(PR_SET_NAME, "rse-watch");
    become_real_time(kLoopPriority);
    const int got = ::pthread_mutex_lock(&page->mutex);
    // The first to get it leaves it inconsistent, so that every other watcher is woken and told, too.
    if (got == EOWNERDEAD) ::pthread_mutex_unlock(&page->mutex);
    ::munmap(page, sizeof(Page));
    if (got != EOWNERDEAD && got != ENOTRECOVERABLE) return;
    ::unlink(path.c_str());
    const std::lock_guard lock(shared->mutex);
    if (shared->mailbox) shared->mailbox->post([shared = shared.get(), node, incarnation] { shared->on_death(node, incarnation); });
  }).detach();
  return true;
}

void LifeSign::stop() {
  const std::lock_guard lock(shared_->mutex);
  shared_->mailbox.reset();
  // Our own page goes with the name; whoever has it mapped still sees the mutex change hands.
  if (!shared_->own_path.empty()) ::unlink(std::exchange(shared_->own_path, {}).c_str());
}

}  // namespace rse
