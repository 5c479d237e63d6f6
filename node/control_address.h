// Where the control API of a daemon is: a Unix socket's path or HOST:PORT, and the folder in which the daemons of this user
// on this machine leave links to their sockets, so that `rse` finds them without a flag.
// Threads: any. Memory: none kept. Errors: as a sentence.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

namespace rse {

struct ControlAddress {
  int family = 0;
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* sockaddr_of() const { return reinterpret_cast<const sockaddr*>(&storage); }
  bool is_loopback() const;
  /// Whether somebody accepts connections there now.
  bool connects() const;
};

/// Anything with a '/' is a path; HOST has to be numeric or "localhost".
std::optional<ControlAddress> parse_control_address(const std::string& text, std::string& failure);

/// $RSE_RUNTIME_DIR, else $XDG_RUNTIME_DIR/rse, else /tmp/rse-UID; made if it is missing. Empty: not usable, because it
/// belongs to somebody else.
std::string runtime_directory();
/// Leaves (or removes) the link NAME.control -> `where` in the runtime directory.
void publish_control(const std::string& name, const std::string& where);
void withdraw_control(const std::string& name, const std::string& where);
/// What is published, by name; daemons that are gone are left out.
struct PublishedControl {
  std::string name;
  std::string where;
};
std::vector<PublishedControl> published_controls();

}  // namespace rse
