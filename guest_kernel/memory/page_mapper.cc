#include "guest_kernel/memory/page_mapper.h"

#include <cstring>

#include "torus/base/assert.h"

namespace rse::kernel {
namespace {

constexpr std::uint64_t kPresent = 1u << 0;
constexpr std::uint64_t kWritable = 1u << 1;
constexpr std::uint64_t kWriteThrough = 1u << 3;
constexpr std::uint64_t kCacheDisable = 1u << 4;
constexpr std::uint64_t kLarge = 1u << 7;
constexpr std::uint64_t kNoExecute = std::uint64_t{1} << 63;
constexpr std::uint64_t kAddress = 0x000ffffffffff000;
constexpr int kRootLevel = 4;

std::size_t index_at(std::uint64_t address, int level) { return address >> (12 + 9 * (level - 1)) & 511; }

std::uint64_t flags_of(PageRights rights, PageCaching caching) {
  std::uint64_t flags = kPresent;
  switch (rights) {
    case PageRights::kRead: flags |= kNoExecute; break;
    case PageRights::kReadExecute: break;
    case PageRights::kReadWrite: flags |= kNoExecute | kWritable; break;
  }
  return caching == PageCaching::kUncached ? flags | kCacheDisable | kWriteThrough : flags;
}

}  // namespace

bool PageMapper::start() {
  root_ = frames_.take();
  if (root_ == 0) return false;
  std::memset(table_at(root_), 0, kPageBytes);
  return true;
}

std::uint64_t* PageMapper::table_at(std::uint64_t physical) const {
  return reinterpret_cast<std::uint64_t*>(direct_map_ + physical);
}

std::uint64_t* PageMapper::entry(std::uint64_t address, int level, bool make) {
  std::uint64_t* table = table_at(root_);
  for (int at = kRootLevel; at > level; --at) {
    std::uint64_t& next = table[index_at(address, at)];
    if ((next & kPresent) == 0) {
      if (!make) return nullptr;
      const std::uint64_t frame = frames_.take();
      if (frame == 0) return nullptr;
      std::memset(table_at(frame), 0, kPageBytes);
      next = frame | kPresent | kWritable;
    }
    if ((next & kLarge) != 0) return nullptr;
    table = table_at(next & kAddress);
  }
  return &table[index_at(address, level)];
}

bool PageMapper::map(std::uint64_t address, std::uint64_t physical, std::uint64_t size, PageRights rights,
                     PageCaching caching) {
  RSE_ASSERT(address % kPageBytes == 0 && physical % kPageBytes == 0 && size % kPageBytes == 0, "whole pages only");
  const std::uint64_t flags = flags_of(rights, caching);
  while (size != 0) {
    const bool large = size >= kLargePageBytes && address % kLargePageBytes == 0 && physical % kLargePageBytes == 0;
    const std::uint64_t step = large ? kLargePageBytes : kPageBytes;
    std::uint64_t* const place = entry(address, large ? 2 : 1, true);
    if (place == nullptr) return false;
    RSE_ASSERT((*place & kPresent) == 0, "a page was mapped twice");
    *place = physical | flags | (large ? kLarge : 0);
    address += step;
    physical += step;
    size -= step;
  }
  return true;
}

std::size_t PageMapper::unmap(std::uint64_t address, std::uint64_t size, Frames frames) {
  std::size_t count = 0;
  constexpr std::uint64_t kTableSpan = 512 * kPageBytes;
  for (const std::uint64_t end = address + size; address < end;) {
    std::uint64_t* place = entry(address, 1, false);
    const std::uint64_t table_end = round_down(address, kTableSpan) + kTableSpan;
    if (place == nullptr) {
      address = table_end;
      continue;
    }
    for (; address < end && address < table_end; address += kPageBytes, ++place) {
      if ((*place & kPresent) == 0) continue;
      if (frames == Frames::kGive) frames_.give(*place & kAddress);
      *place = 0;
      forget_(address);
      ++count;
    }
  }
  return count;
}

std::optional<std::uint64_t> PageMapper::translate(std::uint64_t address) const {
  const std::uint64_t* table = table_at(root_);
  for (int level = kRootLevel; level >= 1; --level) {
    const std::uint64_t found = table[index_at(address, level)];
    if ((found & kPresent) == 0) return std::nullopt;
    if (level == 1) return (found & kAddress) + address % kPageBytes;
    if ((found & kLarge) != 0) return (found & kAddress) + address % (std::uint64_t{1} << (12 + 9 * (level - 1)));
    table = table_at(found & kAddress);
  }
  return std::nullopt;
}

}  // namespace rse::kernel
