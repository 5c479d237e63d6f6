// What can be said about a simulated cluster from outside.
#include <algorithm>
#include <cstdio>

#include "tests/sim/simulation.h"

namespace rse::sim {

BraidStatus Simulation::status(std::size_t index) const {
  return nodes_[index].braid->status(local(nodes_[index]));
}

bool Simulation::healthy() const {
  const View* view = nullptr;
  for (const Node& node : nodes_) {
    if (!node.braid) continue;
    if (!node.braid->is_member()) return false;
    if (view && view->number != node.braid->view().number) return false;
    view = &node.braid->view();
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (alive(i) && status(i).health != Health::kHealthy) return false;
  }
  return true;
}

const View* Simulation::newest_view() const {
  const View* newest = nullptr;
  for (const Node& node : nodes_) {
    if (node.braid && (!newest || node.braid->view().number > newest->number)) newest = &node.braid->view();
  }
  return newest && newest->number.raw != 0 ? newest : nullptr;
}

bool Simulation::may_lose(std::size_t victim) const {
  if (observes(victim)) return true;
  const View* newest = newest_view();
  if (!newest) return false;
  std::vector<std::size_t> members;
  for (const Member& member : newest->members) {
    if (member.role == Role::kObserver) continue;
    const std::size_t index = index_of(member.node);
    if (index == nodes_.size() || !alive(index) || nodes_[index].incarnation != member.incarnation) return false;
    if (nodes_[index].paused || nodes_[index].braid->view().number != newest->number) return false;
    members.push_back(index);
  }
  if (std::find(members.begin(), members.end(), victim) == members.end()) return true;  // it holds nothing that counts
  for (const std::size_t a : members) {
    for (const std::size_t b : members) {
      if (a != b && links_[a * nodes_.size() + b].blocked != 0) return false;
    }
  }
  return std::all_of(members.begin(), members.end(),
                     [&](std::size_t index) { return status(index).health == Health::kHealthy; });
}

std::size_t Simulation::retained_bytes_max() const {
  std::size_t most = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (alive(i)) most = std::max<std::size_t>(most, status(i).retained_bytes);
  }
  return most;
}

std::string Simulation::why_not_healthy() const {
  std::string why;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    why += (why.empty() ? "" : "; ") + name_of(i) + ": ";
    why += alive(i) ? "view " + std::to_string(node(i).view().number.raw) + ", " + status(i).verdict : "down";
  }
  return why;
}

std::string Simulation::verify() {
  history_.check_clients();
  for (const Node& node : nodes_) {
    for (std::uint8_t t = 0; node.braid && t < kTorusCount; ++t) {
      if (node.braid->view().hosts[t] != node.id) continue;
      if (const TorusMachine* machine = node.braid->machine(TorusId{t})) history_.check_state(*machine);
    }
  }
  return history_.broken();
}

void Simulation::say(const std::string& line) {
  const std::string whole = std::to_string(now_ / 1'000) + " " + line + "\n";
  if (printing_) std::fputs(whole.c_str(), stdout);
  story_ += whole;
}

std::string Simulation::story() const { return story_; }

}  // namespace rse::sim
