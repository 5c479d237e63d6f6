#include "torus/braid/region.h"

#include <algorithm>

namespace rse {

std::vector<RegionPiece> RegionSender::next() {
  std::vector<RegionPiece> pieces;
  for (std::size_t room = kPartBytes; next_ < regions_.size() && room > 0;) {
    const RegionPtr& region = regions_[next_];
    const std::size_t left = region->bytes.size() - offset_;
    // A region that does not fit any more begins in a message of its own, unless even that cannot hold it.
    if (!pieces.empty() && left > room) break;
    const std::size_t size = std::min(left, room);
    pieces.push_back({region->index, static_cast<std::uint32_t>(region->bytes.size()), static_cast<std::uint32_t>(offset_),
                      {std::span(region->bytes).subspan(offset_, size), region}});
    room -= size;
    offset_ += size;
    if (offset_ < region->bytes.size()) break;
    ++next_;
    offset_ = 0;
  }
  return pieces;
}

Result<RegionPtr> RegionBuilder::add(const RegionPiece& piece) {
  const auto bytes = piece.bytes.bytes;
  if (piece.total > kRegionBytesMax || piece.index >= kRegionCount) return Error::kTooLarge;
  if (piece.offset > piece.total || bytes.size() > piece.total - piece.offset) return Error::kMalformed;
  if (piece.offset == 0) {
    building_ = std::make_shared<Region>();
    building_->index = piece.index;
    total_ = piece.total;
    // What fits in one message is announced and here; of more, only what has arrived gets memory.
    building_->bytes.reserve(std::min<std::size_t>(piece.total, 2 * kPartBytes));
  }
  const bool follows = building_ && building_->index == piece.index && total_ == piece.total &&
                       building_->bytes.size() == piece.offset && (!bytes.empty() || piece.total == 0);
  if (!follows) {
    building_.reset();
    return Error::kMalformed;
  }
  building_->bytes.insert(building_->bytes.end(), bytes.begin(), bytes.end());
  if (building_->bytes.size() < total_) return RegionPtr{};
  return RegionPtr(std::exchange(building_, nullptr));
}

}  // namespace rse
