// The web dashboard's server: the page, the state of all nodes of this machine as a stream, and, with the token, changes.
// It asks the nodes by their control API, so it runs as well inside a daemon as inside a launcher, and a page goes on when
// the node that it was watching dies.
// Threads: its own three (HTTP, watching, asking); the braid's is never used. Memory: one status a node, one lattice a torus,
// kJobsMax requests. Errors: a sentence from start().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace rse {

class Gateway {
 public:
  struct Options {
    std::string listen = "127.0.0.1:7480";
    /// Of the nodes, as parse_control_address() takes them; asked again each time, since nodes come and go.
    std::function<std::vector<std::string>()> controls;
    /// By which a browser may ask for the page, beside those of this machine: of a tunnel, or of a proxy.
    std::vector<std::string> allowed_hosts;
    std::string token;  // in `Authorization: Bearer`; empty: nobody may change anything
    /// Both are called on a thread of the gateway and return what the person should read. Null: the page has no such button.
    std::function<std::string(const std::string& node)> kill;
    std::function<std::string(const std::string& node)> restart;
  };
  explicit Gateway(Options options);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Empty: serving; otherwise what went wrong, for a person.
  std::string start();
  /// What to open, with the token, if there is one, where only the browser sees it.
  std::string url() const;
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// 128 bits, in hex.
std::string random_token();

}  // namespace rse
