#include "torus/braid/naive_braid.h"

#include <algorithm>

namespace rse {
namespace {

std::uint64_t naive_fold(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint32_t face_cell(int torus, std::uint32_t x, std::uint32_t y, std::uint32_t z) {
  return static_cast<std::uint32_t>(torus) * 32768 + x * 1024 + y * 32 + z;
}

std::int64_t saturated(const std::map<std::uint32_t, std::uint64_t>& counts, std::uint32_t cell) {
  const auto found = counts.find(cell);
  if (found == counts.end()) return 0;
  return static_cast<std::int64_t>(std::min<std::uint64_t>(found->second, 0xFFFFFFFF));
}

}  // namespace

NaiveBraid::NaiveBraid(const Scenario& scenario)
    : adaptive_(scenario.adaptive),
      coupling_(scenario.boundary_coupling),
      tolerance_(scenario.boundary_tolerance),
      k_(scenario.epoch_ticks) {
  for (const auto& relay : scenario.relays) {
    if (relay.max_payload) tori_[relay.cell.raw / 32768].limits[relay.cell.raw] = *relay.max_payload;
  }
  for (const auto& edge : scenario.edges) {
    auto& links = tori_[edge.from.raw / 32768].links[edge.from.raw];
    auto same = std::find_if(links.begin(), links.end(), [&](const Link& l) { return l.to == edge.to.raw; });
    if (same != links.end()) {
      same->delay = edge.delay;
    } else {
      links.push_back({edge.to.raw, edge.delay});
    }
  }
  for (const Event& event : scenario.injections) {
    tori_[event.dst.raw / 32768].queue.insert(
        {event.time.raw, 1, event.dst.raw, event.src.raw, event.payload});
  }
}

void NaiveBraid::run_epoch(const SealRecord& seals) {
  const std::uint64_t j = epochs_.size();
  EpochRecord record;
  decide_length(j);
  record.start = start_;
  record.length = k_;
  for (int id = 0; id < 3; ++id) {
    if (j >= 2) deliver(id, j, seals, record);
    run_torus(id, start_ + k_, record);
  }
  for (int id = 0; id < 3; ++id) record.projections[id] = project(id, j, record);
  start_ += k_;
  epochs_.push_back(std::move(record));
}

void NaiveBraid::decide_length(std::uint64_t j) {
  if (!adaptive_ || j < 2) return;
  std::uint64_t v = 0;
  for (const Projection& projection : epochs_[j - 2].projections) v += projection.violations;
  if (v == 0) {
    q_ += 1;
  } else {
    q_ = 0;
  }
  if (v > 24) {
    k_ = std::max<std::uint64_t>(100, k_ / 2);
  } else if (q_ == 8) {
    k_ = std::min<std::uint64_t>(10000, 2 * k_);
    q_ = 0;
  }
}

void NaiveBraid::deliver(int id, std::uint64_t j, const SealRecord& seals, EpochRecord& record) {
  OneTorus& torus = tori_[id];
  for (int from = 0; from < 3; ++from) {
    for (const Event& event : epochs_[j - 2].batches[from][id]) {
      torus.queue.insert({std::max(event.time.raw, start_), 1, event.dst.raw, event.src.raw, event.payload});
      ++torus.received[from];
    }
  }
  if (coupling_) constrain(id, j, record);
  const auto seal = seals.find({j - 2, id});
  if (seal != seals.end()) inject(id, seal->second);
}

// Torus `id` is Y, the one before it X; the constraints are those of epoch j - 2.
void NaiveBraid::constrain(int id, std::uint64_t j, EpochRecord& record) {
  const int x_torus = (id + 2) % 3;
  const EpochRecord& old = epochs_[j - 2];
  for (std::uint32_t i = 0; i < 32; ++i) {
    const auto z = static_cast<std::uint32_t>((i + (j - 2)) % 32);
    const std::uint32_t x_cell = face_cell(x_torus, 0, i, z);
    const std::uint32_t y_cell = face_cell(id, 31, i, z);
    const std::int64_t d = saturated(old.cell_counts[x_torus], x_cell) - saturated(old.cell_counts[id], y_cell);
    if (d <= tolerance_ && d >= -tolerance_) continue;
    ++record.projections[id].violations;
    ++tori_[id].violations;
    const std::int64_t payload = std::clamp<std::int64_t>(d / 2, -8, 8);
    if (payload != 0) {
      tori_[id].queue.insert({start_, 0, y_cell, x_cell, static_cast<std::int32_t>(payload)});
    }
  }
}

void NaiveBraid::inject(int id, const Seal& seal) {
  OneTorus& torus = tori_[id];
  for (const Injection& injection : seal.injections) {
    if (injection.client.raw != 0) {
      auto known = std::find_if(torus.clients.begin(), torus.clients.end(),
                                [&](const auto& c) { return c.first == injection.client.raw; });
      std::uint64_t highest = 0;
      const bool is_known = known != torus.clients.end();
      if (is_known) {
        highest = known->second;
        torus.clients.erase(known);
      }
      const bool repeated = is_known && injection.sequence <= highest;
      torus.clients.emplace_back(injection.client.raw, repeated ? highest : injection.sequence);
      if (torus.clients.size() > 1024) torus.clients.pop_front();
      if (repeated) continue;
    }
    ++torus.injections;
    torus.queue.insert({start_, 1, injection.dst.raw, injection.src.raw, injection.payload});
  }
}

void NaiveBraid::run_torus(int id, std::uint64_t end, EpochRecord& record) {
  OneTorus& torus = tori_[id];
  while (!torus.queue.empty() && std::get<0>(*torus.queue.begin()) < end) {
    const std::uint64_t time = std::get<0>(*torus.queue.begin());
    std::uint64_t sum = 0;
    while (!torus.queue.empty() && std::get<0>(*torus.queue.begin()) == time) {
      const Key event = *torus.queue.begin();
      torus.queue.erase(torus.queue.begin());
      const auto [t, kind, dst, src, payload] = event;
      std::uint64_t d = naive_fold(
          t ^ (std::uint64_t{static_cast<std::uint32_t>(payload)} * 0x9E3779B97F4A7C15u) ^ 0xA0761D6478BD642Fu,
          ((std::uint64_t{dst} << 32) | src) ^ 0xE7037ED1A0B428DBu);
      if (kind == 0) d ^= 0x8EBC6AF09C88C6E3u;
      sum += d;
      process(id, event, record);
    }
    torus.h = naive_fold(torus.h ^ sum, time ^ 0x589965CC75374CC3u);
  }
}

void NaiveBraid::process(int id, const Key& event, EpochRecord& record) {
  OneTorus& torus = tori_[id];
  const auto [time, kind, dst, src, payload] = event;
  ++torus.events;
  ++record.projections[id].load;
  ++record.cell_counts[id][dst];
  const auto links = torus.links.find(dst);
  constexpr std::int64_t kMost = 0xFFFFFFFF;
  if (kind == 0) {
    ++torus.corrective;
    if (links == torus.links.end()) return;
    for (Link& link : links->second) {
      link.delay = static_cast<std::uint64_t>(
          std::clamp<std::int64_t>(static_cast<std::int64_t>(link.delay) - payload, 1, kMost));
    }
    return;
  }
  if (links == torus.links.end()) return;
  const auto limit = torus.limits.find(dst);
  if (limit != torus.limits.end() && payload >= limit->second) return;
  for (Link& link : links->second) {
    if (payload > 0) {
      link.delay = std::max<std::uint64_t>(1, link.delay - 1);
    } else {
      link.delay = std::min<std::uint64_t>(kMost, link.delay + 1);
    }
    const int to = static_cast<int>(link.to / 32768);
    const auto next_payload = static_cast<std::int32_t>(static_cast<std::uint32_t>(payload) + 1);
    if (to == id) {
      torus.queue.insert({time + link.delay, 1, link.to, dst, next_payload});
    } else {
      record.batches[id][to].push_back({Tick{time + link.delay}, CellId{link.to}, CellId{dst}, next_payload});
      ++torus.sent[to];
    }
  }
}

Projection NaiveBraid::project(int id, std::uint64_t j, const EpochRecord& record) const {
  const OneTorus& torus = tori_[id];
  Projection p = record.projections[id];  // load and violations have been counted there
  p.torus = TorusId{static_cast<std::uint8_t>(id)};
  p.epoch = Epoch{j};
  p.end_tick = Tick{start_ + k_};
  p.events = torus.events;
  p.pending = torus.queue.size();
  for (const auto& [cell, links] : torus.links) p.edges += links.size();
  p.next_event_time = Tick{torus.queue.empty() ? ~std::uint64_t{0} : std::get<0>(*torus.queue.begin())};
  for (std::uint32_t y = 0; y < 32; ++y) {
    for (std::uint32_t z = 0; z < 32; ++z) {
      p.boundary_states[y * 32 + z] =
          static_cast<std::uint32_t>(saturated(record.cell_counts[id], face_cell(id, 0, y, z)));
    }
  }
  const int next = (id + 1) % 3;
  const int previous = (id + 2) % 3;
  p.constraint_vector[0] = static_cast<std::int64_t>(torus.sent[next]);
  p.constraint_vector[1] = static_cast<std::int64_t>(torus.sent[previous]);
  p.constraint_vector[2] = static_cast<std::int64_t>(torus.received[next]);
  p.constraint_vector[3] = static_cast<std::int64_t>(torus.received[previous]);
  p.constraint_vector[8] = static_cast<std::int64_t>(torus.injections);
  p.event_digest = torus.h;
  return p;
}

std::uint64_t NaiveBraid::pending_total() const {
  std::uint64_t total = 0;
  for (const OneTorus& torus : tori_) total += torus.queue.size();
  return total;
}

}  // namespace rse
