// The disks of simulated nodes: what is written when, what is lost, what rots.
#include <algorithm>

#include "tests/sim/simulation.h"
#include "torus/base/assert.h"

namespace rse::sim {
namespace {

constexpr std::uint32_t kBlockBytes = 4096;

}  // namespace

bool Simulation::open_directory(std::size_t index, Recovered& recovered) {
  Node& node = nodes_[index];
  StorageError error;
  node.directory = DataDirectory::open(node.disk->mount(), error);
  if (!node.directory) {
    if (telling_) say(name_of(index) + " does not start: " + error.text);
    node.disk->kill();
    lose_disk(index);  // as the message tells the operator
    node.directory = DataDirectory::open(node.disk->mount(), error);
    RSE_ASSERT(node.directory, "an empty disk can be used");
  }
  for (const std::string& warning : node.directory->warnings()) {
    if (telling_) say(name_of(index) + ": " + warning);
  }
  node.id = node.directory->identity().node;
  node.incarnation = node.directory->identity().incarnation;
  node.cluster_known = node.directory->identity().cluster.has_value();
  recovered = node.directory->take_recovered();
  return true;
}

void Simulation::lose_disk(std::size_t index) {
  RSE_ASSERT(!nodes_[index].braid, "a disk is lost while its node is down");
  nodes_[index].disk = std::make_unique<SimulatedDisk>(random_.next());
  if (telling_) say("the disk of " + name_of(index) + " is lost");
}

void Simulation::corrupt_disk(std::size_t index, std::uint32_t bits) {
  RSE_ASSERT(!nodes_[index].braid, "a disk rots while its node is down");
  SimulatedDisk& disk = *nodes_[index].disk;
  const auto files = disk.mount();
  std::vector<std::string> paths;
  for (const std::string& name : files->list("").value_or(std::vector<std::string>{})) paths.push_back(name);
  for (const std::string& name : files->list("cuts").value_or(std::vector<std::string>{})) paths.push_back("cuts/" + name);
  if (paths.empty()) return;
  const std::string& path = paths[random_.below(static_cast<std::uint32_t>(paths.size()))];
  const std::uint64_t size = files->size(path).value_or(0);
  const std::uint64_t block = random_.next() % (size / kBlockBytes + 1) * kBlockBytes;
  if (telling_) say("a block of " + name_of(index) + "'s " + path + " rots");
  for (std::uint32_t i = 0; i < bits; ++i) disk.flip_bit(path, (block + random_.below(kBlockBytes)) * 8 + i % 8);
}

void Simulation::kill_at_write(std::size_t index, std::uint64_t count) {
  if (nodes_[index].disk) nodes_[index].disk->die_at(nodes_[index].disk->operations() + count);
}

void Simulation::fail_disk_at(std::size_t index, std::uint64_t count, int error) {
  if (nodes_[index].disk) nodes_[index].disk->fail_at(nodes_[index].disk->operations() + count, error, true);
}

/// As node/disk_writer.h: votes overtake everything, cuts are taken alone, and seals overtake a cut that is being written.
void Simulation::begin_batch(std::size_t index) {
  Node& node = nodes_[index];
  if (node.unwritten.empty()) return;
  if (!node.batch.empty()) return overtake_cut(index);
  const auto is_vote = [](const Persist& work) { return std::holds_alternative<PersistVote>(work.what); };
  const auto is_cut = [](const Persist& work) { return std::holds_alternative<PersistCut>(work.what); };
  auto end = std::stable_partition(node.unwritten.begin(), node.unwritten.end(), is_vote);
  if (end == node.unwritten.begin()) {
    end = std::find_if(node.unwritten.begin(), node.unwritten.end(), is_cut);
    if (end == node.unwritten.begin() && end != node.unwritten.end()) ++end;
  }
  node.batch.assign(std::make_move_iterator(node.unwritten.begin()), std::make_move_iterator(end));
  node.unwritten.erase(node.unwritten.begin(), end);
  // The bytes may be there long before the answer, or just before it.
  if (random_.below(2) == 0 && !write_batch(node)) return kill(index);
  const std::uint64_t span = 100'000 + random_.below(static_cast<std::uint32_t>(options_.disk_wait_max.raw));
  push(now_ + span * node.disk_slowness, ActionKind::kDiskEnd, index);
}

void Simulation::overtake_cut(std::size_t index) {
  Node& node = nodes_[index];
  const auto is_seals = [](const Persist& work) { return std::holds_alternative<PersistSeals>(work.what); };
  if (!std::holds_alternative<PersistCut>(node.batch.front().what) || node.batch_done || !is_seals(node.unwritten.front())) return;
  const auto end = std::find_if_not(node.unwritten.begin(), node.unwritten.end(), is_seals);
  const std::vector<Persist> seals(std::make_move_iterator(node.unwritten.begin()), std::make_move_iterator(end));
  node.unwritten.erase(node.unwritten.begin(), end);
  if (node.directory->persist(std::span<const Persist>(seals))) return kill(index);
  const std::uint32_t life = node.life;
  for (const Persist& work : seals) {
    node.braid->on_persisted(local(node), work.token);
    drain(index);
    if (node.life != life) return;
  }
}

bool Simulation::write_batch(Node& node) {
  node.batch_done = true;
  if (!node.cluster_known && node.braid->view().cluster.raw != 0) {
    node.cluster_known = true;
    if (node.directory->set_cluster(node.braid->view().cluster)) return false;
  }
  return !node.directory->persist(std::span<const Persist>(node.batch)).has_value();
}

void Simulation::end_batch(std::size_t index) {
  Node& node = nodes_[index];
  if (!node.batch_done && !write_batch(node)) return kill(index);
  node.batch_done = false;
  const std::uint32_t life = node.life;
  for (const Persist& work : std::exchange(node.batch, {})) {
    node.braid->on_persisted(local(node), work.token);
    drain(index);
    if (node.life != life) return;
  }
  if (!node.unwritten.empty()) push(now_, ActionKind::kDiskBegin, index);
}

}  // namespace rse::sim
