#include "node/storage/simulated_files.h"

#include <algorithm>
#include <cerrno>
#include <map>

#include "torus/base/random.h"

namespace rse {

namespace {
constexpr std::size_t kSectorBytes = 512;

struct Inode {
  Bytes now;
  Bytes synced;
  std::size_t changed_from = 0, changed_to = 0;  // since the last sync: only there may the two differ, and in size

  void note_change(std::size_t from, std::size_t to) {
    if (changed_from == changed_to) changed_from = from;
    changed_from = std::min(changed_from, from);
    changed_to = std::max(changed_to, to);
  }
  void resize(std::size_t size) {
    note_change(std::min(size, now.size()), std::max(size, now.size()));
    now.resize(size);
  }
  void write(std::size_t offset, std::span<const std::byte> bytes) {
    if (now.size() < offset + bytes.size()) resize(offset + bytes.size());
    note_change(offset, offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), now.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void sync() {
    synced.resize(now.size());
    const std::size_t end = std::min(changed_to, now.size());
    if (changed_from < end) {
      const auto from = static_cast<std::ptrdiff_t>(changed_from);
      std::copy(now.begin() + from, now.begin() + static_cast<std::ptrdiff_t>(end), synced.begin() + from);
    }
    changed_from = changed_to = 0;
  }
};
using InodePointer = std::shared_ptr<Inode>;
using Names = std::map<std::string, InodePointer>;  // full path -> file

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// Each sector old or new; the size old, new or between. Bytes beyond the old size that did not
/// arrive are zero.
Bytes torn(const Inode& inode, Random& random) {
  const std::size_t smaller = std::min(inode.now.size(), inode.synced.size());
  const std::size_t larger = std::max(inode.now.size(), inode.synced.size());
  Bytes result(smaller + random.below(static_cast<std::uint32_t>(larger - smaller) + 1));
  if (random.below(3) == 0) result.resize(inode.now.size());
  for (std::size_t at = 0; at < result.size(); at += kSectorBytes) {
    const Bytes& source = random.below(2) == 0 ? inode.now : inode.synced;
    const std::size_t end = std::min({at + kSectorBytes, result.size(), source.size()});
    if (at < end) std::copy(source.begin() + at, source.begin() + end, result.begin() + at);
  }
  return result;
}
}  // namespace

struct SimulatedDisk::State {
  explicit State(std::uint64_t seed) : random(seed) {}

  /// A change of names that is not durable yet; a rename is one change and takes effect as a whole.
  struct NameChange {
    std::string directory;
    std::vector<std::pair<std::string, InodePointer>> entries;  // nullptr: removed
  };

  Random random;
  Names now;
  Names synced;
  std::vector<std::string> directories{""};  // durable at once: nothing depends on their order
  std::vector<NameChange> unsynced_names;
  std::uint64_t generation = 0;  // +1 a kill or crash
  std::uint64_t operations = 0;
  std::uint64_t syncs = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t die_at = ~0ull;
  std::uint64_t fail_at = ~0ull;
  int fail_error = 0;
  bool fail_lasting = false;
  bool dead = false;

  static void apply(Names& names, const NameChange& change) {
    for (const auto& [path, inode] : change.entries) {
      if (inode) {
        names[path] = inode;
      } else {
        names.erase(path);
      }
    }
  }
  void change_names(NameChange change) {
    apply(now, change);
    unsynced_names.push_back(std::move(change));
  }
  InodePointer find(const std::string& path) const {
    const auto found = now.find(path);
    if (found == now.end()) errno = ENOENT;
    return found == now.end() ? nullptr : found->second;
  }

  enum class Verdict { kGo, kHalf, kNo };
  /// What happens to the next changing operation; errno is set unless it may go on.
  Verdict next(bool writes) {
    const std::uint64_t operation = operations++;
    if (dead) {
      errno = EIO;
      return Verdict::kNo;
    }
    if (operation == die_at) {
      dead = true;
      errno = EIO;
      return random.below(2) == 0 ? Verdict::kHalf : Verdict::kNo;
    }
    if (operation == fail_at || (fail_lasting && operation > fail_at && writes)) {
      errno = fail_error;
      return random.below(2) == 0 ? Verdict::kHalf : Verdict::kNo;
    }
    return Verdict::kGo;
  }
};

class SimulatedFiles final : public FileSystem {
 public:
  explicit SimulatedFiles(std::shared_ptr<SimulatedDisk::State> state)
      : state_(std::move(state)), generation_(state_->generation) {}

  bool make_directory(const std::string& path) override {
    if (!go(false)) return false;
    auto& directories = state_->directories;
    if (std::find(directories.begin(), directories.end(), path) == directories.end())
      directories.push_back(path);
    return true;
  }
  bool write_new(const std::string& path, std::span<const std::byte> bytes) override {
    return write(bytes, [&](std::span<const std::byte> part) {
      InodePointer inode = state_->find(path);
      if (!inode) {
        inode = std::make_shared<Inode>();
        state_->change_names({parent_of(path), {{path, inode}}});
      }
      inode->resize(0);
      inode->write(0, part);
      return true;
    });
  }
  bool append(const std::string& path, std::span<const std::byte> bytes) override {
    return write(bytes, [&](std::span<const std::byte> part) {
      const InodePointer inode = state_->find(path);
      if (inode) inode->write(inode->now.size(), part);
      return inode != nullptr;
    });
  }
  bool write_at(const std::string& path, std::uint64_t offset,
                std::span<const std::byte> bytes) override {
    return write(bytes, [&](std::span<const std::byte> part) {
      const InodePointer inode = state_->find(path);
      if (!inode) return false;
      inode->write(offset, part);
      return true;
    });
  }
  bool sync(const std::string& path) override {
    if (!go(false)) return false;
    ++state_->syncs;
    const InodePointer inode = state_->find(path);
    if (inode) inode->sync();
    return inode != nullptr;
  }
  bool sync_directory(const std::string& path) override {
    if (!go(false)) return false;
    ++state_->syncs;
    std::erase_if(state_->unsynced_names, [&](const SimulatedDisk::State::NameChange& change) {
      if (change.directory != path) return false;
      SimulatedDisk::State::apply(state_->synced, change);
      return true;
    });
    return true;
  }
  bool rename(const std::string& from, const std::string& to) override {
    if (!go(false)) return false;
    const InodePointer inode = state_->find(from);
    if (inode) state_->change_names({parent_of(to), {{from, nullptr}, {to, inode}}});
    return inode != nullptr;
  }
  bool remove(const std::string& path) override {
    if (!go(false)) return false;
    if (!state_->find(path)) return false;
    state_->change_names({parent_of(path), {{path, nullptr}}});
    return true;
  }
  bool truncate(const std::string& path, std::uint64_t size) override {
    if (!go(false)) return false;
    const InodePointer inode = state_->find(path);
    if (inode) inode->resize(size);
    return inode != nullptr;
  }
  std::optional<Bytes> read(const std::string& path) override {
    const InodePointer inode = readable(path);
    return inode ? std::optional(inode->now) : std::nullopt;
  }
  std::optional<Bytes> read_part(const std::string& path, std::uint64_t offset,
                                 std::size_t size) override {
    const InodePointer inode = readable(path);
    if (!inode) return std::nullopt;
    if (offset > inode->now.size() || size > inode->now.size() - offset) {
      errno = EIO;
      return std::nullopt;
    }
    const auto begin = inode->now.begin() + static_cast<std::ptrdiff_t>(offset);
    return Bytes(begin, begin + static_cast<std::ptrdiff_t>(size));
  }
  std::optional<std::uint64_t> size(const std::string& path) override {
    const InodePointer inode = readable(path);
    return inode ? std::optional<std::uint64_t>(inode->now.size()) : std::nullopt;
  }
  std::optional<std::vector<std::string>> list(const std::string& path) override {
    std::vector<std::string> names;
    const std::string prefix = path.empty() ? "" : path + "/";
    for (const auto& [name, inode] : state_->now) {
      if (parent_of(name) == path) names.push_back(name.substr(prefix.size()));
    }
    for (const std::string& directory : state_->directories) {
      if (!directory.empty() && parent_of(directory) == path)
        names.push_back(directory.substr(prefix.size()));
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::uint64_t random() override { return state_->random.next(); }
  std::string shown(const std::string& path) const override {
    return path.empty() ? "disk" : "disk/" + path;
  }

 private:
  using Verdict = SimulatedDisk::State::Verdict;

  bool alive() const {
    if (generation_ != state_->generation) errno = EIO;
    return generation_ == state_->generation;
  }
  bool go(bool writes) { return alive() && state_->next(writes) == Verdict::kGo; }
  InodePointer readable(const std::string& path) const {
    if (!alive() || state_->dead) {
      errno = EIO;
      return nullptr;
    }
    return state_->find(path);
  }
  template <class Change>
  bool write(std::span<const std::byte> bytes, Change&& change) {
    if (!alive()) return false;
    const Verdict verdict = state_->next(true);
    const int error = errno;
    if (verdict == Verdict::kNo) return false;
    if (verdict == Verdict::kHalf) {
      bytes = bytes.first(state_->random.below(static_cast<std::uint32_t>(bytes.size()) + 1));
    }
    state_->bytes_written += bytes.size();
    const bool done = change(bytes);
    if (verdict == Verdict::kHalf) errno = error;
    return done && verdict == Verdict::kGo;
  }

  std::shared_ptr<SimulatedDisk::State> state_;
  std::uint64_t generation_;
};

SimulatedDisk::SimulatedDisk(std::uint64_t seed) : state_(std::make_shared<State>(seed)) {}
SimulatedDisk::~SimulatedDisk() = default;

std::unique_ptr<FileSystem> SimulatedDisk::mount() {
  return std::make_unique<SimulatedFiles>(state_);
}
std::uint64_t SimulatedDisk::operations() const { return state_->operations; }
std::uint64_t SimulatedDisk::syncs() const { return state_->syncs; }
std::uint64_t SimulatedDisk::bytes_written() const { return state_->bytes_written; }
std::uint64_t SimulatedDisk::bytes_used() const {
  std::uint64_t sum = 0;
  for (const auto& [path, inode] : state_->now) sum += inode->now.size();
  return sum;
}

void SimulatedDisk::die_at(std::uint64_t operation) { state_->die_at = operation; }
void SimulatedDisk::fail_at(std::uint64_t operation, int error, bool lasting) {
  state_->fail_at = operation;
  state_->fail_error = error;
  state_->fail_lasting = lasting;
}

void SimulatedDisk::kill() {
  ++state_->generation;
  state_->dead = false;
  state_->die_at = state_->fail_at = ~0ull;
  state_->fail_lasting = false;
}

void SimulatedDisk::crash(UnsyncedFate fate) {
  kill();
  State& state = *state_;
  for (const State::NameChange& change : state.unsynced_names) {
    const bool kept =
        fate == UnsyncedFate::kKept || (fate == UnsyncedFate::kTorn && state.random.below(2) == 0);
    if (kept) State::apply(state.synced, change);
  }
  state.unsynced_names.clear();
  state.now = state.synced;
  for (auto& [path, inode] : state.now) {
    if (fate == UnsyncedFate::kTorn && inode->now != inode->synced) {
      inode->now = torn(*inode, state.random);
      inode->note_change(0, inode->now.size());
    }
    if (fate == UnsyncedFate::kLost) inode->now = inode->synced;
    inode->sync();
  }
}

bool SimulatedDisk::flip_bit(const std::string& path, std::uint64_t bit) {
  const InodePointer inode = state_->find(path);
  if (!inode || bit / 8 >= inode->now.size()) return false;
  inode->now[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  inode->note_change(bit / 8, bit / 8 + 1);
  inode->sync();
  return true;
}
void SimulatedDisk::put(const std::string& path, std::span<const std::byte> bytes) {
  auto inode = std::make_shared<Inode>();
  inode->write(0, bytes);
  inode->sync();
  state_->now[path] = state_->synced[path] = inode;
}
void SimulatedDisk::erase(const std::string& path) {
  state_->now.erase(path);
  state_->synced.erase(path);
}

}  // namespace rse
