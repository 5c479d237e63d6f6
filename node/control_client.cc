#include "node/control_client.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "node/control_address.h"

namespace rse {
namespace {

constexpr std::size_t kControlClientBytesMax = 256u << 20;
constexpr std::uint32_t kControlVersionSpoken = 1;
constexpr std::size_t kSendStepBytes = 256u << 10;

}  // namespace

std::unique_ptr<ControlClient> ControlClient::connect(const std::string& where, ControlFailure& failure) {
  std::string why;
  const std::optional<ControlAddress> address = parse_control_address(where, why);
  if (!address) {
    failure = {kExitUsage, why};
    return nullptr;
  }
  const int fd = ::socket(address->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, address->sockaddr_of(), address->size) != 0) {
    failure = {kExitUnreachable, "cannot reach the daemon at " + where + ": " + std::strerror(errno) +
                                     "; is rse-node running? (its first lines name its control address)"};
    if (fd >= 0) ::close(fd);
    return nullptr;
  }
  return std::unique_ptr<ControlClient>(new ControlClient(fd, where));
}

ControlClient::~ControlClient() { ::close(fd_); }

bool ControlClient::write_all(const std::string& bytes, ControlFailure& failure) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(fd_, bytes.data() + at, std::min(bytes.size() - at, kSendStepBytes), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      failure = {kExitUnreachable, "lost the daemon at " + where_ + ": " + std::strerror(errno)};
      return false;
    }
    at += static_cast<std::size_t>(sent);
    if (on_sent_) on_sent_(at, bytes.size());
  }
  return true;
}

bool ControlClient::read_all(char* to, std::size_t size, std::chrono::steady_clock::time_point deadline,
                             ControlFailure& failure) {
  for (std::size_t at = 0; at < size;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left.count()) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      failure = {kExitFailed, "the daemon at " + where_ + " did not answer within " + std::to_string(limit_.count()) +
                                  " ms; `rse status` says what it waits for"};
      failure.code = v1::ControlError::TIMEOUT;
      return false;
    }
    const ssize_t got = ::recv(fd_, to + at, size - at, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      failure = {kExitUnreachable, "lost the daemon at " + where_ + ": " +
                                       (got == 0 ? "it closed the connection" : std::strerror(errno))};
      return false;
    }
    at += static_cast<std::size_t>(got);
  }
  return true;
}

std::uint64_t ControlClient::send(v1::ControlRequest& request, ControlFailure& failure) {
  request.set_version(kControlVersionSpoken);
  request.set_id(++last_id_);
  std::string frame(4, '\0');
  request.AppendToString(&frame);
  const auto size = static_cast<std::uint32_t>(frame.size() - 4);
  std::memcpy(frame.data(), &size, sizeof size);
  return write_all(frame, failure) ? last_id_ : 0;
}

bool ControlClient::receive(v1::ControlReply& reply, ControlFailure& failure) {
  const auto deadline = std::chrono::steady_clock::now() + limit_;
  std::uint32_t size = 0;
  if (!read_all(reinterpret_cast<char*>(&size), sizeof size, deadline, failure)) return false;
  if (size > kControlClientBytesMax) {
    failure = {kExitFailed, "what answers at " + where_ + " does not speak as the control address of an rse-node does; give the one that its first "
                            "lines name, not an address for nodes"};
    return false;
  }
  std::string body(size, '\0');
  if (!read_all(body.data(), body.size(), deadline, failure)) return false;
  if (!reply.ParseFromString(body)) {
    failure = {kExitFailed, "the daemon at " + where_ + " sent something else than a reply; are both of one version?"};
    return false;
  }
  return true;
}

bool ControlClient::ask(v1::ControlRequest& request, v1::ControlReply& reply, ControlFailure& failure) {
  const std::uint64_t id = send(request, failure);
  if (id == 0) return false;
  do {
    if (!receive(reply, failure)) return false;
  } while (reply.id() != id);  // a reply that came too late for an earlier question
  if (!reply.has_error()) return true;
  failure = {kExitFailed, reply.error().text()};
  failure.code = reply.error().code();
  return false;
}

std::vector<std::string> control_candidates(const std::vector<std::string>& given) {
  if (!given.empty()) return given;
  if (const char* named = std::getenv("RSE_CONTROL"); named != nullptr && *named != '\0') return {named};
  std::vector<std::string> candidates;
  for (const PublishedControl& control : published_controls()) candidates.push_back(control.where);
  return candidates;
}

std::unique_ptr<ControlClient> connect_to_any(const std::vector<std::string>& given, ControlFailure& failure) {
  const std::vector<std::string> candidates = control_candidates(given);
  if (candidates.empty()) {
    failure = {kExitUnreachable,
               "no rse-node of this user runs on this machine; start one (rse-node --found, or RSE_TICKET=... rse-node), or name "
               "its control address with --control"};
    return nullptr;
  }
  for (const std::string& where : candidates)
    if (auto client = ControlClient::connect(where, failure)) return client;
  return nullptr;
}

std::optional<v1::StatusReply> ask_status(ControlClient& client, ControlFailure& failure) {
  v1::ControlRequest request;
  request.mutable_status();
  v1::ControlReply reply;
  if (!client.ask(request, reply, failure)) return std::nullopt;
  return reply.status();
}

std::vector<v1::StatusReply> StatusPoll::ask(const std::vector<std::string>& where, ControlFailure& failure) {
  constexpr std::chrono::milliseconds kAnswerLimit{400};  // a paused node must not stop the news of the others
  std::erase_if(clients_, [&](const auto& client) { return std::find(where.begin(), where.end(), client.first) == where.end(); });
  std::vector<v1::StatusReply> statuses;
  for (const std::string& address : where) {
    std::unique_ptr<ControlClient>& client = clients_[address];
    if (!client) client = ControlClient::connect(address, failure);
    if (!client) continue;
    client->set_limit(kAnswerLimit);
    if (auto status = ask_status(*client, failure)) statuses.push_back(std::move(*status));
    else client.reset();  // a reply that comes too late would be taken for the next one's
  }
  return statuses;
}

}  // namespace rse
