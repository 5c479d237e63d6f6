#include "node/disk_writer.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace rse {

DiskWriter::DiskWriter(DataDirectory& directory, std::string record_path, asio::io_context& loop,
                       Callbacks callbacks)
    : directory_(directory),
      record_path_(std::move(record_path)),
      loop_(loop),
      callbacks_(std::move(callbacks)),
      thread_([this] { run(); }) {}

DiskWriter::~DiskWriter() { stop(); }

void DiskWriter::submit(Persist work) {
  const std::lock_guard lock(mutex_);
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

/// Votes overtake everything: a failover waits for them, and each record has its own answer. Cuts, which may be megabytes,
/// are taken one at a time, so that a vote waits for one at most.
DiskWriter::Item DiskWriter::take_next() {
  Item item;
  item.clusters = std::exchange(queued_.clusters, {});
  item.record = std::exchange(queued_.record, {});
  item.restart_record = std::exchange(queued_.restart_record, false);
  const auto is_vote = [](const Persist& work) { return std::holds_alternative<PersistVote>(work.what); };
  const auto is_cut = [](const Persist& work) { return std::holds_alternative<PersistCut>(work.what); };
  auto& works = queued_.works;
  const auto votes_end = std::stable_partition(works.begin(), works.end(), is_vote);
  auto end = votes_end;
  if (end == works.begin()) {
    end = std::find_if(works.begin(), works.end(), is_cut);
    if (end != works.end()) ++end;
  }
  item.works.assign(std::make_move_iterator(works.begin()), std::make_move_iterator(end));
  works.erase(works.begin(), end);
  return item;
}

void DiskWriter::run() {
  ::prctl(PR_SET_NAME, "rse-disk");
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 0);  // not the loop's, which it inherits
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queued_.empty(); });
      if (queued_.empty()) break;
      item = take_next();
    }
    if (failed_) continue;
    if (std::string failure = write(item); !failure.empty()) {
      failed_ = true;
      asio::post(loop_, [this, alive = alive_, failure = std::move(failure)] {
        if (*alive) callbacks_.on_failed({failure});
      });
      continue;
    }
    if (item.works.empty()) continue;
    std::vector<std::uint64_t> tokens;
    tokens.reserve(item.works.size());
    for (const Persist& work : item.works) tokens.push_back(work.token);
    asio::post(loop_, [this, alive = alive_, tokens = std::move(tokens)] {
      for (const std::uint64_t token : tokens)
        if (*alive) callbacks_.on_persisted(token);
    });
  }
  if (record_file_ >= 0) ::close(record_file_);
}

std::string DiskWriter::write(Item& item) {
  if (std::string failure = write_record(item); !failure.empty()) return failure;
  for (const ClusterId cluster : item.clusters)
    if (auto error = directory_.set_cluster(cluster)) return error->text;
  if (item.works.empty()) return {};
  if (auto error = directory_.persist(std::span<const Persist>(item.works))) return error->text;
  return {};
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
  }
  thread_.join();
  *alive_ = false;
}

}  // namespace rse
