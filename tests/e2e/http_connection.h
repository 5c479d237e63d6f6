// A browser's connection with a dashboard of this machine, byte by byte.
// Threads: one. Memory: what was read. Errors: nothing is read; no call takes longer than ten seconds of silence.
#pragma once

#include <string>

namespace rse {

class HttpConnection {
 public:
  explicit HttpConnection(int port);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void send(const std::string& bytes) const;
  /// Until the server closes or `until` has come.
  std::string read(const std::string& until = "never") const;

 private:
  int fd_;
};

/// The whole answer to one request. `first_line`: "GET /healthz"; `more`: further lines of the head, each with its end.
std::string http_ask(int port, const std::string& first_line, const std::string& more = {},
                     const std::string& body = {});
/// What comes after an answer's head.
std::string http_body(const std::string& answer);

}  // namespace rse
