#include "node/control_session.h"

#include <asio/buffer.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstring>

#include "node/control_fill.h"

namespace rse {
namespace {

constexpr std::size_t kReadStepBytes = 256u << 10;

}  // namespace

ControlServer::Session::Session(ControlServer& server, int fd, int family)
    : server_(server), socket_(server.loop_, asio::generic::stream_protocol(family, 0), fd) {}

void ControlServer::Session::reply(const v1::ControlReply& message) {
  if (closed_) return;
  std::string frame(4, '\0');
  message.AppendToString(&frame);
  const auto size = static_cast<std::uint32_t>(frame.size() - 4);
  std::memcpy(frame.data(), &size, sizeof size);
  queued_bytes_ += frame.size();
  if (queued_bytes_ > kControlQueueBytesMax) return close();  // it does not read
  queue_.push_back(std::move(frame));
  if (queue_.size() == 1) write();
}

void ControlServer::Session::refuse(v1::ControlReply message, v1::ControlError::Code code,
                                    std::string text) {
  set_error(message, code, std::move(text));
  reply(message);
}

void ControlServer::Session::close() {
  if (std::exchange(closed_, true)) return;
  std::error_code ignored;
  socket_.close(ignored);
  server_.sessions_.erase(shared_from_this());
}

void ControlServer::Session::read_size() {
  asio::async_read(socket_, asio::buffer(&size_, sizeof size_),
                   [self = shared_from_this()](const std::error_code& error, std::size_t) {
                     if (error || self->size_ > kControlBytesMax) return self->close();
                     self->body_.clear();
                     self->read_body();
                   });
}

/// In steps, so that a size alone allocates nothing.
void ControlServer::Session::read_body() {
  const std::size_t had = body_.size();
  if (had == size_) return handle();
  body_.resize(had + std::min<std::size_t>(kReadStepBytes, size_ - had));
  asio::async_read(socket_, asio::buffer(body_.data() + had, body_.size() - had),
                   [self = shared_from_this()](const std::error_code& error, std::size_t) {
                     if (error) return self->close();
                     self->read_body();
                   });
}

void ControlServer::Session::handle() {
  v1::ControlRequest request;
  const bool parsed = request.ParseFromArray(body_.data(), static_cast<int>(body_.size()));
  body_ = {};
  if (!parsed) return close();
  server_.handle(shared_from_this(), request);
  if (!closed_) read_size();
}

void ControlServer::Session::write() {
  asio::async_write(socket_, asio::buffer(queue_.front()),
                    [self = shared_from_this()](const std::error_code& error, std::size_t) {
                      if (self->closed_) return;
                      if (error) return self->close();
                      self->queued_bytes_ -= self->queue_.front().size();
                      self->queue_.pop_front();
                      if (!self->queue_.empty()) self->write();
                    });
}

}  // namespace rse
