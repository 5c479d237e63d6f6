#include "transport/ivshmem/doorbell_server.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/local/stream_protocol.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "transport/ivshmem/region_file.h"

namespace rse {
namespace {

using asio::local::stream_protocol;

constexpr std::int64_t kProtocolVersion = 0;
constexpr std::int64_t kMemoryFollows = -1;

/// Without waiting: a client whose buffer is full does not read, and 64 messages fit any buffer.
bool send_message(int socket, std::int64_t number, int descriptor) {
  iovec bytes{&number, sizeof number};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof number);
}

}  // namespace

struct DoorbellServer::Core : std::enable_shared_from_this<Core> {
  struct Slot {
    std::optional<stream_protocol::socket> guest;
    std::optional<asio::posix::stream_descriptor> doorbell;  // eventfd: rung by guests
    std::optional<asio::posix::stream_descriptor> pipe;      // rung by host processes; open while a guest has the slot
    std::uint64_t turn = 0;                                  // handlers of an earlier occupant do nothing
  };

  Core(asio::io_context& loop, DoorbellOptions options) : loop(loop), options(std::move(options)), acceptor(loop) {}

  std::string open() {
    std::string why;
    const auto address = parse_ivshmem_address(options.memory, why);
    if (!address) return why;
    file = RegionFile::open(*address, RegionOpen::kCreate, RegionClaim::kNone, why);
    if (!file) return why;
    for (std::uint32_t slot = 0; slot < kParticipantsMax; ++slot) {
      const int event = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
      if (event < 0) return "cannot make an eventfd: " + std::string(std::strerror(errno));
      slots[slot].doorbell.emplace(loop, event);
      watch(slot);
    }
    return listen();
  }

  std::string listen() {
    const std::string what = "cannot listen on " + options.socket + ": ";
    if (options.socket.size() > 107) return what + "the path is longer than 107 bytes; choose a shorter one";
    struct stat info {};
    if (::lstat(options.socket.c_str(), &info) == 0) {
      if (!S_ISSOCK(info.st_mode)) return what + "there is a file of this name; remove it or choose another name";
      std::error_code error;
      stream_protocol::socket probe(loop);
      probe.connect(options.socket, error);
      if (!error) return what + "another doorbell server uses it; stop it or choose another name";
      ::unlink(options.socket.c_str());
    }
    std::error_code error;
    acceptor.open(stream_protocol(), error);
    if (!error) acceptor.bind(options.socket, error);
    if (!error) ::chmod(options.socket.c_str(), 0600);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return what + error.message() + "; choose another path";
    bound = true;
    accept();
    return {};
  }

  void accept() {
    acceptor.async_accept([self = shared_from_this()](const std::error_code& error, stream_protocol::socket socket) {
      if (error || self->stopped) return;
      self->on_connected(std::move(socket));
      if (!self->stopped) self->accept();
    });
  }

  void on_connected(stream_protocol::socket socket) {
    const std::uint32_t slot = file->hold_for_guest();
    if (slot == kParticipantsMax) return;  // closes it; QEMU says that its server has gone
    const int client = socket.native_handle();
    // All doorbells at once, and never a word more: a slot's eventfd stays the same whoever has the slot, and QEMU (7.2,
    // close_peer_eventfds()) keeps a freed pointer when it is told that a peer has gone, and writes to it when the peer's
    // number is announced again.
    bool sent = send_message(client, kProtocolVersion, -1) && send_message(client, slot, -1) &&
                send_message(client, kMemoryFollows, file->descriptor());
    for (std::uint32_t step = 1; step <= kParticipantsMax; ++step) {
      const std::uint32_t peer = (slot + step) % kParticipantsMax;  // its own last
      sent = sent && send_message(client, peer, slots[peer].doorbell->native_handle());
    }
    if (!sent) return file->release_guest(slot);
    slots[slot].guest.emplace(std::move(socket));
    ++slots[slot].turn;
    watch(slot);
    wait_for_end(slot);
    options.on_guest(slot, true);
  }

  /// QEMU never sends: what can be read is its end.
  void wait_for_end(std::uint32_t slot) {
    slots[slot].guest->async_wait(stream_protocol::socket::wait_read,
                                  [self = shared_from_this(), slot, turn = slots[slot].turn](const std::error_code&) {
                                    if (!self->stopped && self->slots[slot].turn == turn) self->on_gone(slot);
                                  });
  }

  void on_gone(std::uint32_t slot) {
    Slot& gone = slots[slot];
    gone.guest.reset();
    gone.pipe.reset();
    ++gone.turn;
    file->release_guest(slot);
    watch(slot);
    wake_hosts();
    options.on_guest(slot, false);
  }

  /// They have to see that the presence of a slot has changed.
  void wake_hosts() {
    for (std::uint32_t slot = 0; slot < kParticipantsMax; ++slot) {
      if (!slots[slot].guest && file->held(slot)) file->ring(slot);
      if (slots[slot].guest) ring_guest(slot);
    }
  }

  void ring_guest(std::uint32_t slot) {
    const std::uint64_t one = 1;
    (void)!::write(slots[slot].doorbell->native_handle(), &one, sizeof one);
  }

  /// A guest's slot: from the pipe to the doorbell. Any other: from the doorbell to the pipe.
  void watch(std::uint32_t index) {
    Slot& slot = slots[index];
    const bool guest = slot.guest.has_value();
    if (guest && !slot.pipe) {
      std::string why;
      const int pipe = file->open_bell(index, why);
      if (pipe < 0) return;  // it is woken by its own clock
      slot.pipe.emplace(loop, pipe);
    }
    if (guest) slot.doorbell->cancel(ignored);
    auto& source = guest ? *slot.pipe : *slot.doorbell;
    source.async_wait(asio::posix::descriptor_base::wait_read,
                      [self = shared_from_this(), index, guest, turn = slot.turn](const std::error_code& error) {
                        if (error || self->stopped || self->slots[index].turn != turn) return;
                        Slot& slot = self->slots[index];
                        std::array<std::byte, 256> drained;
                        (void)!::read(guest ? slot.pipe->native_handle() : slot.doorbell->native_handle(), drained.data(),
                                      drained.size());
                        if (guest) self->ring_guest(index);
                        else if (self->file->held(index)) self->file->ring(index);
                        self->watch(index);
                      });
  }

  void stop() {
    if (std::exchange(stopped, true)) return;
    acceptor.close(ignored);
    if (bound) ::unlink(options.socket.c_str());
    for (Slot& slot : slots) slot = Slot{};
    file.reset();
  }

  asio::io_context& loop;
  DoorbellOptions options;
  stream_protocol::acceptor acceptor;
  std::unique_ptr<RegionFile> file;
  std::array<Slot, kParticipantsMax> slots;
  std::error_code ignored;
  bool bound = false;
  bool stopped = false;
};

DoorbellServer::DoorbellServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}
DoorbellServer::~DoorbellServer() { core_->stop(); }

std::unique_ptr<DoorbellServer> DoorbellServer::start(asio::io_context& loop, DoorbellOptions options, std::string& error) {
  auto core = std::make_shared<Core>(loop, std::move(options));
  error = core->open();
  if (!error.empty()) {
    core->stop();
    return nullptr;
  }
  return std::unique_ptr<DoorbellServer>(new DoorbellServer(std::move(core)));
}

}  // namespace rse
