// One client of the control API: its frames, and the replies that wait for it.
// Threads: the loop's. Memory: one message being received, and kControlQueueBytesMax of replies. Errors: a frame that is too
// large or does not parse ends the session. Private to the control server.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "node/control_server.h"

namespace rse {

class ControlServer::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(ControlServer& server, int fd, int family);

  void start() { read_size(); }
  void reply(const v1::ControlReply& message);
  /// The same with an error in place of what `message` holds.
  void refuse(v1::ControlReply message, v1::ControlError::Code code, std::string text);
  void close();
  bool watching = false;
  std::uint64_t watch_id = 0;

 private:
  void read_size();
  void read_body();
  void handle();
  void write();

  ControlServer& server_;
  Socket socket_;
  std::uint32_t size_ = 0;
  std::string body_;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  bool closed_ = false;
};

}  // namespace rse
