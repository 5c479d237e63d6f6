// A shared memory with one honest participant, and the input as everything that
// others may do to it: patches anywhere, and frames whose sums are right whatever they say.
#include <cstring>

#include "torus/base/assert.h"
#include "transport/ivshmem/frame_check.h"
#include "transport/ivshmem/participant.h"
#include "transport/ivshmem/test_memory.h"

using namespace rse;
using Kind = Participant::Event::Kind;

namespace {

constexpr int kPollsMax = 64;

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  template <class T>
  T take() {
    T value{};
    const std::size_t count = std::min(sizeof value, size_);
    std::memcpy(&value, data_, count);
    data_ += count;
    size_ -= count;
    return value;
  }
  bool empty() const { return size_ == 0; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

/// A frame at the tail of the ring 0 -> 1, with the sum that its header and payload ask for.
void forge_frame(const RingRegion& region, Input& input) {
  RingControl& ring = region.ring(0, 1);
  std::byte* const data = region.ring_data(0, 1);
  const std::size_t at = ring.tail % region.ring_bytes() / kFrameAlignment * kFrameAlignment;
  RingFrame frame{};
  frame.magic = (input.take<std::uint8_t>() & 1) != 0 ? kRingFrameMagic : kRingPaddingMagic;
  frame.size = input.take<std::uint32_t>() >> (input.take<std::uint8_t>() % 32);
  frame.message_size = input.take<std::uint32_t>() >> (input.take<std::uint8_t>() % 32);
  frame.offset = input.take<std::uint16_t>();
  frame.sequence = input.take<std::uint8_t>();
  const std::size_t room = region.ring_bytes() - at - sizeof frame;
  Bytes copy(room);
  frame.check = frame.magic == kRingPaddingMagic
                    ? frame_seed(frame, ring.generation)
                    : checked_copy(copy.data(), data + at + sizeof frame, std::min<std::size_t>(frame.size, room),
                                   frame_seed(frame, ring.generation), SumOf::kSource);
  std::memcpy(data + at, &frame, sizeof frame);
  ring.tail += kFrameAlignment * (1 + input.take<std::uint8_t>());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  testing::TestMemory memory;
  const RingRegion region = memory.region();
  Participant peer(region, {.slot = 0});
  Participant self(region, {.slot = 1});
  for (int step = 0; step < 8; ++step) {
    if (peer.poll().kind == Kind::kAppeared) peer.open(1);
    (void)self.poll();
  }
  RSE_ASSERT(self.is_open(0), "two honest participants meet");
  for (Input input(data, size); !input.empty();) {
    switch (input.take<std::uint8_t>() % 4) {
      case 0: peer.put(1, testing::numbered(1, 1 + input.take<std::uint16_t>() % 6000), 0); break;
      case 1: forge_frame(region, input); break;
      case 2: {
        const std::size_t at = kPresenceOffset + input.take<std::uint16_t>() % (kDataOffset + kRingBytesMin - kPresenceOffset - 8);
        const auto word = input.take<std::uint64_t>();
        std::memcpy(memory.bytes().data() + at, &word, sizeof word);
        break;
      }
      case 3: peer.open(1); break;
    }
    for (int poll = 0; poll < kPollsMax; ++poll) {
      const Participant::Event event = self.poll();
      if (event.kind == Kind::kNothing) break;
      if (event.kind == Kind::kDisplaced) self.announce();
      RSE_ASSERT(event.message.size() <= kRingMessageBytesMax, "a message has its bound");
    }
    (void)self.take_bells();
    if (self.try_sleep()) self.wake();
  }
  return 0;
}
