#include "node/control_record.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rse {
namespace {

constexpr std::size_t kFrameBytesMax = 64u << 20;
constexpr std::size_t kFrameHeaderBytes = 12;

std::uint64_t first_bytes(const Digest256& digest) {
  std::uint64_t value = 0;
  std::memcpy(&value, digest.bytes.data(), sizeof value);
  return value;
}

}  // namespace

void SealRecord::begin_run(RunId run) {
  run_ = run;
  tori_ = {};
  seal_bytes_ = 0;
  seals_dropped_ = false;
  unwritten_.clear();
  restart_ = true;
  file_bytes_ = 0;
}

void SealRecord::put(RunId run, TorusId torus, const Entry& entry, std::span<const std::byte> seal) {
  if (run.raw < run_.raw || torus.raw >= kTorusCount) return;
  if (run.raw > run_.raw) begin_run(run);
  OfTorus& of = tori_[torus.raw];
  while (!of.entries.empty() && of.entries.back().epoch >= entry.epoch) of.entries.pop_back();
  for (auto at = of.seals.lower_bound(entry.epoch.raw); at != of.seals.end(); at = of.seals.erase(at))
    seal_bytes_ -= at->second.size();
  of.entries.push_back(entry);
  if (of.entries.size() > kRecordEpochsMax) {
    of.entries.pop_front();
    ++of.dropped;
  }
  if (seal.empty()) return;
  if (seal_bytes_ + seal.size() > kRecordSealBytesMax) {
    seals_dropped_ = true;
    return;
  }
  seal_bytes_ += seal.size();
  of.seals[entry.epoch.raw] = Bytes(seal.begin(), seal.end());
}

void SealRecord::add(const Packet& packet) {
  Bytes seal;
  // `waiting` alone matters too: it decides whether a torus is quiet, and so when it leaps.
  if (packet.seal.waiting || !packet.seal.injections.empty()) encode_seal(packet.seal, seal);
  const Entry entry{packet.epoch, packet.projection.event_digest,
                    first_bytes(projection_digest(packet.projection))};
  put(packet.run, packet.torus, entry, seal);
  if (packet.run != run_) return;
  // A full file keeps what cannot be computed again: the seals.
  if (file_bytes_ + unwritten_.size() > kRecordFileBytesMax && seal.empty()) return;
  ByteWriter out(unwritten_);
  out.put(packet.run);
  out.put(packet.torus);
  out.put(entry.epoch);
  out.put(entry.event_digest);
  out.put(entry.projection);
  out.put_sized(seal);
}

Bytes SealRecord::take_unwritten(bool& restart) {
  restart = std::exchange(restart_, false);
  Bytes frame;
  if (unwritten_.empty()) return frame;
  ByteWriter out(frame);
  out.put(static_cast<std::uint32_t>(unwritten_.size()));
  out.put(first_bytes(digest_of(unwritten_)));
  out.put_bytes(unwritten_);
  unwritten_.clear();
  file_bytes_ += frame.size();
  return frame;
}

std::size_t SealRecord::load(std::span<const std::byte> file) {
  ByteReader frames(file);
  std::size_t whole = 0;
  while (frames.remaining() >= kFrameHeaderBytes) {
    const auto size = frames.get<std::uint32_t>();
    const auto check = frames.get<std::uint64_t>();
    if (size > kFrameBytesMax || size > frames.remaining()) break;
    const std::span<const std::byte> payload = frames.get_bytes(size);
    if (first_bytes(digest_of(payload)) != check) break;
    ByteReader in(payload);
    while (in.ok() && in.remaining() > 0) {
      const auto run = in.get<RunId>();
      const auto torus = in.get<TorusId>();
      Entry entry;
      entry.epoch = in.get<Epoch>();
      entry.event_digest = in.get<std::uint64_t>();
      entry.projection = in.get<std::uint64_t>();
      const std::span<const std::byte> seal = in.get_sized(kFrameBytesMax);
      if (in.ok()) put(run, torus, entry, seal);
    }
    whole = file.size() - frames.remaining();
  }
  file_bytes_ = whole;
  restart_ = false;
  unwritten_.clear();
  return whole;
}

SealRecord::Page SealRecord::page(TorusId torus, Epoch from, std::size_t count_max) const {
  Page page;
  const OfTorus& of = tori_[torus.raw];
  page.digests_dropped = of.dropped;
  page.seals_dropped = seals_dropped_;
  // Seals older than the ring's digests still have to reach a replay: they come with the first page.
  const auto first = std::lower_bound(of.entries.begin(), of.entries.end(), from,
                                      [](const Entry& entry, Epoch epoch) { return entry.epoch < epoch; });
  auto at = first;
  for (; at != of.entries.end() && page.entries.size() < count_max; ++at) page.entries.push_back(*at);
  page.more = at != of.entries.end();
  const std::uint64_t end = page.more ? at->epoch.raw : ~std::uint64_t{0};
  for (auto seal = of.seals.lower_bound(from.raw); seal != of.seals.end() && seal->first < end; ++seal)
    page.seals.insert(*seal);
  return page;
}

}  // namespace rse
