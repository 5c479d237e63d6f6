// What is behind make_ivshmem_transport(): the memory's file, locks and bells, and the event loop around the links (links.h).
// Outlives the transport while handlers of the event loop refer to it; after stop() they find nothing to do.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/adaptive_spin.h"
#include "transport/ivshmem/ivshmem_transport.h"
#include "transport/ivshmem/links.h"
#include "transport/ivshmem/region_file.h"
#include "transport/secure/trust_book.h"

namespace rse {

class IvshmemCore final : public std::enable_shared_from_this<IvshmemCore>, private IvshmemLinks::Surroundings {
 public:
  IvshmemCore(asio::io_context& loop, const IvshmemOptions& options, TransportCallbacks callbacks);
  /// Empty: takes part, or will as soon as there is a Hello.
  std::string listen(const std::string& address);

  void set_hello(const Hello& hello);
  void set_trust(std::shared_ptr<const TrustBook> book);
  void dial(const std::string& address);
  void undial(const std::string& address);
  SendResult send(NodeId node, std::span<const std::byte> message);
  SendResult send_at_once(NodeId node, std::span<const std::byte> message);
  std::optional<LinkProgress> progress(NodeId node) const { return links_ ? links_->progress(node) : std::nullopt; }
  bool has_room(NodeId node) const { return !links_ || links_->has_room(node); }
  void disconnect(NodeId node);
  std::vector<LinkStats> stats() const;
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  void attach();
  void start_if_ready();
  void wait_for_bell();
  void keep_house();
  void check_lives();
  bool watches_all() const;

  // --- What the links are told of this process and its machine. ---
  Instant now() const override;
  Instant roughly_now() const override;
  void ring(std::uint32_t slot) override { file_->ring(slot); }  // a guest's: the doorbell server reads the pipe
  void turn_soon() override;
  void on_appeared(std::uint32_t slot) override;
  bool is_gone(std::uint32_t slot, std::uint32_t process) const override;
  std::string place(std::uint32_t slot) const override;
  bool encrypted() const override { return trust_ != nullptr; }
  void show(Hello& own) const override;
  std::string judge(Hello& peer, const std::string& where) const override;

  /// Takes what is there, sends what there is room for, then sleeps, or comes back.
  void run();
  bool look_some_times();
  void name_address(const std::string& text);
  void report_failure(const std::string& address, const std::string& why);

  asio::io_context& loop_;
  TransportCallbacks callbacks_;
  std::chrono::milliseconds handshake_limit_;
  AdaptiveSpin spin_;
  std::optional<IvshmemAddress> address_;  // of the memory that we take part in, or try to
  std::string address_text_;               // as it was given
  bool absence_reported_ = false;
  Clock::time_point next_attach_{};
  std::unique_ptr<RegionFile> file_;
  std::optional<Participant> self_;
  std::optional<IvshmemLinks> links_;
  std::optional<asio::posix::stream_descriptor> bell_;
  std::array<std::unique_ptr<asio::posix::stream_descriptor>, kParticipantsMax> processes_;  // pidfds, readable when they have ended
  asio::steady_timer house_timer_;
  Hello hello_;
  std::shared_ptr<const TrustBook> trust_;  // null: of an open cluster
  bool started_ = false;  // set_hello() was called
  bool stopped_ = false;
  bool running_ = false;
  bool run_posted_ = false;
};

}  // namespace rse
