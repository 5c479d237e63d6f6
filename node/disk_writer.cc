#include "node/disk_writer.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "node/thread_urgency.h"

namespace rse {
namespace {

// Behind the tori: a cut that is on the disk a little later costs nothing, a torus that is rebuilt later does.
constexpr int kBulkNice = 5;

std::vector<std::uint64_t> tokens_of(const std::vector<Persist>& works) {
  std::vector<std::uint64_t> tokens;
  for (const Persist& work : works) tokens.push_back(work.token);
  return tokens;
}

}  // namespace

DiskWriter::DiskWriter(DataDirectory& directory, std::string record_path, asio::io_context& loop,
                       Callbacks callbacks)
    : directory_(directory),
      record_path_(std::move(record_path)),
      callbacks_(std::move(callbacks)),
      mailbox_(loop),
      thread_([this] { run(); }),
      vote_thread_([this] { run_votes(); }) {}

DiskWriter::~DiskWriter() { stop(); }

void DiskWriter::submit(Persist work) {
  const std::lock_guard lock(mutex_);
  if (std::holds_alternative<PersistVote>(work.what)) {
    votes_.push_back(std::move(work));
    wake_votes_.notify_one();
    return;
  }
  queued_.works.push_back(std::move(work));
  wake_.notify_one();
}

void DiskWriter::set_cluster(ClusterId cluster) {
  const std::lock_guard lock(mutex_);
  queued_.clusters.assign(1, cluster);
  wake_.notify_one();
}

void DiskWriter::append_record(Bytes bytes, bool restart) {
  const std::lock_guard lock(mutex_);
  if (restart) {
    queued_.record.clear();
    queued_.restart_record = true;
  }
  queued_.record.insert(queued_.record.end(), bytes.begin(), bytes.end());
  wake_.notify_one();
}

/// Cuts, which may be megabytes, are taken alone: each has its own answer.
DiskWriter::Item DiskWriter::take_next() {
  Item item;
  item.clusters = std::exchange(queued_.clusters, {});
  item.record = std::exchange(queued_.record, {});
  item.restart_record = std::exchange(queued_.restart_record, false);
  const auto is_cut = [](const Persist& work) { return std::holds_alternative<PersistCut>(work.what); };
  auto& works = queued_.works;
  auto end = std::find_if(works.begin(), works.end(), is_cut);
  if (end == works.begin() && end != works.end()) ++end;
  item.works.assign(std::make_move_iterator(works.begin()), std::make_move_iterator(end));
  works.erase(works.begin(), end);
  return item;
}

void DiskWriter::run() {
  ::prctl(PR_SET_NAME, "rse-disk");
  become_ordinary(kBulkNice);
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return votes_.empty() && (stopping_ || !queued_.empty()); });
      if (queued_.empty()) break;
      item = take_next();
    }
    if (failed_) continue;
    std::string failure = write(item);
    report(std::move(failure), tokens_of(item.works));
  }
  if (record_file_ >= 0) ::close(record_file_);
}

void DiskWriter::run_votes() {
  ::prctl(PR_SET_NAME, "rse-votes");
  become_real_time(kLoopPriority);  // a view waits for it
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_votes_.wait(lock, [&] { return stopping_ || !votes_.empty(); });
    if (votes_.empty()) return;
    const Persist& vote = votes_.front();  // a deque: its place does not change while others are added
    lock.unlock();
    if (!failed_) {
      const auto error = directory_.persist_vote(std::get<PersistVote>(vote.what));
      report(error ? error->text : std::string(), {vote.token});
    }
    lock.lock();
    votes_.pop_front();
    if (votes_.empty()) wake_.notify_one();
  }
}

/// Tells the loop's thread that `tokens` are durable, or, once, that nothing more will be.
void DiskWriter::report(std::string failure, std::vector<std::uint64_t> tokens) {
  if (!failure.empty()) {
    if (failed_.exchange(true)) return;
    mailbox_.post([this, failure = std::move(failure)] { callbacks_.on_failed({failure}); });
    return;
  }
  for (const std::uint64_t token : tokens) mailbox_.post([this, token] { callbacks_.on_persisted(token); });
}

std::string DiskWriter::write(Item& item) {
  if (std::string failure = write_record(item); !failure.empty()) return failure;
  for (const ClusterId cluster : item.clusters)
    if (auto error = directory_.set_cluster(cluster)) return error->text;
  if (item.works.empty()) return {};
  if (auto error = directory_.persist(std::span<const Persist>(item.works), [this] { return write_seals(); })) return error->text;
  return {};
}

/// While a cut is written: seals that came after it, unless something else, or a vote, came before them.
std::optional<StorageError> DiskWriter::write_seals() {
  Item item;
  {
    const std::lock_guard lock(mutex_);
    if (!votes_.empty() || !queued_.clusters.empty() || queued_.restart_record) return std::nullopt;
    const auto is_seals = [](const Persist& work) { return std::holds_alternative<PersistSeals>(work.what); };
    auto& works = queued_.works;
    const auto end = std::find_if_not(works.begin(), works.end(), is_seals);
    if (end == works.begin()) return std::nullopt;
    item.record = std::exchange(queued_.record, {});
    item.works.assign(std::make_move_iterator(works.begin()), std::make_move_iterator(end));
    works.erase(works.begin(), end);
  }
  if (std::string failure = write_record(item); !failure.empty()) return StorageError{failure};
  if (auto error = directory_.persist(std::span<const Persist>(item.works))) return error;
  report({}, tokens_of(item.works));
  return std::nullopt;
}

std::string DiskWriter::write_record(const Item& item) {
  if (record_path_.empty() || (item.record.empty() && !item.restart_record)) return {};
  const auto failed = [&] {
    return "cannot write " + record_path_ + ": " + std::strerror(errno) +
           "; make room or mend the disk, then start the node again";
  };
  if (record_file_ < 0)
    record_file_ = ::open(record_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (record_file_ < 0) return failed();
  if (item.restart_record && ::ftruncate(record_file_, 0) != 0) return failed();
  for (std::size_t at = 0; at < item.record.size();) {
    const ssize_t written = ::write(record_file_, item.record.data() + at, item.record.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failed();
    at += static_cast<std::size_t>(written);
  }
  return {};
}

void DiskWriter::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
    wake_votes_.notify_one();
  }
  vote_thread_.join();
  thread_.join();
  mailbox_.close();
}

}  // namespace rse
