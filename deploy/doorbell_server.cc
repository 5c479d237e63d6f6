#include "deploy/doorbell_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rse {
namespace {

constexpr std::int64_t kProtocolVersion = 0;
constexpr std::int64_t kMemoryFollows = -1;

/// One number, with a descriptor beside it unless that is -1. A peer that does not read is about to be dismissed.
void send_number(int socket, std::int64_t number, int descriptor = -1) {
  iovec bytes{&number, sizeof number};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  }
  static_cast<void>(::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

}  // namespace

DoorbellServer::DoorbellServer(const std::string& path, int memory, int vectors)
    : path_(path), memory_(memory), vectors_(vectors) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    failure_ = path + " is too long for a Unix socket; choose a shorter folder";
    return;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  ::unlink(path.c_str());
  listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  if (listening_ < 0 || stop_ < 0 || ::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listening_, kPeersMax) != 0) {
    failure_ = "cannot listen at " + path + ": " + std::strerror(errno);
    return;
  }
  thread_ = std::thread([this] { serve(); });
}

DoorbellServer::~DoorbellServer() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    static_cast<void>(::write(stop_, &one, sizeof one));
    thread_.join();
  }
  while (!peers_.empty()) dismiss(peers_.begin()->first);
  if (listening_ >= 0) ::close(listening_);
  if (stop_ >= 0) ::close(stop_);
  ::unlink(path_.c_str());
}

void DoorbellServer::serve() {
  for (;;) {
    std::vector<pollfd> waiting = {{stop_, POLLIN, 0}, {listening_, POLLIN, 0}};
    std::vector<std::uint16_t> ids;
    for (const auto& [id, peer] : peers_) {
      waiting.push_back({peer.socket, POLLIN, 0});
      ids.push_back(id);
    }
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[0].revents != 0) return;
    // Peers never send anything: whatever comes is the end.
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (waiting[i + 2].revents != 0) dismiss(ids[i]);
    }
    if (waiting[1].revents != 0) admit();
  }
}

void DoorbellServer::admit() {
  const int socket = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) return;
  std::uint16_t id = 0;
  while (peers_.contains(id)) ++id;
  Peer peer{socket, {}};
  for (int vector = 0; vector < vectors_; ++vector) peer.doorbells.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (peers_.size() == kPeersMax || peer.doorbells.empty() || peer.doorbells.back() < 0) {
    for (const int doorbell : peer.doorbells) ::close(doorbell);
    ::close(socket);
    return;
  }
  send_number(socket, kProtocolVersion);
  send_number(socket, id);
  send_number(socket, kMemoryFollows, memory_);
  for (const auto& [other_id, other] : peers_) {
    for (const int doorbell : other.doorbells) send_number(socket, other_id, doorbell);
    for (const int doorbell : peer.doorbells) send_number(other.socket, id, doorbell);
  }
  for (const int doorbell : peer.doorbells) send_number(socket, id, doorbell);  // its own come last
  peers_.emplace(id, std::move(peer));
}

void DoorbellServer::dismiss(std::uint16_t id) {
  const auto found = peers_.find(id);
  for (const int doorbell : found->second.doorbells) ::close(doorbell);
  ::close(found->second.socket);
  peers_.erase(found);
  for (const auto& [other_id, other] : peers_) send_number(other.socket, id);
}

}  // namespace rse
