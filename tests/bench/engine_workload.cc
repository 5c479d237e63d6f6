#include "tests/bench/engine_workload.h"

#include <algorithm>
#include <string>

#include "torus/base/random.h"

namespace rse {

const char* to_string(Model model) {
  switch (model) {
    case Model::kDelayOne:
      return "delay-1";
    case Model::kMixed:
      return "mixed";
    case Model::kPhold:
      return "phold";
  }
  return "";
}

std::optional<Model> find_model(std::string_view name) {
  for (const Model model : kModels) {
    if (name == to_string(model)) return model;
  }
  return std::nullopt;
}

std::uint64_t mean_delay(Model model) {
  return model == Model::kDelayOne ? 1 : model == Model::kPhold ? kPholdDelayMax / 2 : kMixedDelayMax / 2;
}

std::uint64_t warm_up_ticks(Model model, std::uint32_t pending) {
  return std::max<std::uint64_t>(2 * mean_delay(model), 500'000 * mean_delay(model) / pending);
}

std::uint64_t slice_ticks(Model model, std::uint32_t pending) {
  return std::max<std::uint64_t>(1, 62'500 * mean_delay(model) / pending);
}

Workload make_workload(Model model, std::uint32_t pending) {
  Random random(pending + static_cast<std::uint32_t>(model));
  Workload workload{model, {}, {}, {}};
  for (std::uint32_t i = 0; i < kCellCount; ++i) workload.target.push_back(i);
  if (pending <= kRingPendingMax) {
    std::rotate(workload.target.begin(), workload.target.begin() + 1, workload.target.end());
  } else {
    for (std::uint32_t i = kCellCount - 1; i > 0; --i) {
      std::swap(workload.target[i], workload.target[random.below(i + 1)]);
    }
  }
  const bool wanders = model != Model::kDelayOne;
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    workload.delay.push_back(wanders ? 1 + random.below(kMixedDelayMax) : 1);
  }
  for (std::uint32_t i = 0; i < pending; ++i) {
    const auto magnitude = static_cast<std::int32_t>(1 + random.below(1u << 29));
    const std::int32_t payload = wanders && random.below(2) == 0 ? -magnitude : magnitude;
    const CellId cell{pending >= kCellCount ? i % kCellCount : random.below(kCellCount)};
    workload.events.push_back({{wanders ? random.below(kMixedDelayMax) : 0}, cell, cell, payload});
  }
  return workload;
}

Capacity capacity_for(std::uint32_t pending) {
  Capacity capacity;
  capacity.events = std::max(capacity.events, pending);
  return capacity;
}

void fill(Torus& torus, const Workload& workload, std::uint32_t remote_percent) {
  torus.reset({0});
  bool ok = true;
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    if (workload.model == Model::kPhold) {
      const std::string args = "max_delay=" + std::to_string(kPholdDelayMax) +
                               " events=0 remote=" + std::to_string(remote_percent);
      ok = ok && torus.spawn({i}, "phold", args, {0}).ok();
    } else {
      ok = ok && torus.connect({i}, {workload.target[i]}, workload.delay[i]).ok();
    }
  }
  for (const Event& event : workload.events) ok = ok && torus.insert(event).ok();
  RSE_ASSERT(ok, "the workload fits in the default capacity");
}

}  // namespace rse
