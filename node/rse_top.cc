// rse top: the cluster as it lives, redrawn each second on a terminal, a line each second elsewhere.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "node/client_status.h"
#include "node/client_top.h"
#include "node/client_words.h"
#include "node/rse_commands.h"
#include "node/terminal.h"

namespace rse {
namespace {

volatile sig_atomic_t stopping = 0;
void on_signal(int) { stopping = 1; }

struct TopFlags {
  std::vector<std::string> control;
  double interval_seconds = 1;
  std::uint32_t count = 0;  // 0: until it is stopped
};

/// The alternate screen without echo, put back however the command ends.
class Terminal {
 public:
  Terminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) == 0) {
      termios quiet = before_;
      quiet.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      restore_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
    }
    fmt::print("\x1b[?1049h\x1b[?25l");
  }
  ~Terminal() {
    fmt::print("\x1b[?25h\x1b[?1049l");
    std::fflush(stdout);
    if (restore_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Without flicker: each line is cleared as it is written, and what is left of the last screen below.
  static void draw(const std::string& screen) {
    std::string out = "\x1b[H";
    for (const char c : screen) out += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
    fmt::print("{}\x1b[J", out);
    std::fflush(stdout);
  }

 private:
  termios before_{};
  bool restore_ = false;
};

TopStyle style_now() {
  TopStyle style;
  style.color = wants_color(STDOUT_FILENO);
  const TerminalSize size = terminal_size(STDOUT_FILENO, {.columns = style.columns, .rows = style.rows});
  style.columns = size.columns;
  style.rows = size.rows - 1;  // the last is the cursor's
  return style;
}

class Watcher {
 public:
  explicit Watcher(const TopFlags& flags) : flags_(flags) {}

  std::vector<v1::StatusReply> ask() {
    std::vector<v1::StatusReply> statuses = poll_.ask(control_candidates(flags_.control), failure);
    if (statuses.empty() && failure.text.empty()) connect_to_any(flags_.control, failure);
    return statuses;
  }
  ControlFailure failure;

 private:
  const TopFlags& flags_;
  StatusPoll poll_;
};

/// Whether to go on.
bool wait_for_key(double seconds, bool terminal) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  const int ready = ::poll(&input, terminal ? 1 : 0, static_cast<int>(seconds * 1000));
  char key = 0;
  if (ready > 0) return ::read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
  return stopping == 0;
}

int show_top(const TopFlags& flags) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1 && ::isatty(STDIN_FILENO) == 1;
  struct sigaction action {};
  action.sa_handler = on_signal;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
  Watcher watcher(flags);
  std::vector<v1::StatusReply> statuses = watcher.ask();
  if (statuses.empty()) return report(watcher.failure);
  std::optional<Terminal> screen;
  if (terminal) screen.emplace();
  Top top;
  const auto started = std::chrono::steady_clock::now();
  for (std::uint32_t shown = 1;; ++shown) {
    const double now = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    const bool answered = !statuses.empty();
    if (answered) top.take(std::move(statuses), now);
    const std::string lost = answered ? "" : "no node answers: " + watcher.failure.text + "\n";
    if (terminal) Terminal::draw(lost + top.render(style_now()));
    else fmt::print("{}\n", answered ? top.line() : lost.substr(0, lost.size() - 1));
    std::fflush(stdout);
    if (shown == flags.count || std::ferror(stdout) || !wait_for_key(flags.interval_seconds, terminal) || stopping != 0) return kExitDone;
    statuses = watcher.ask();
  }
}

}  // namespace

void add_top_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<TopFlags>();
  CLI::App* command = app.add_subcommand("top", "the cluster live: tori, nodes and links, incidents; q quits");
  command->add_option("--control", flags->control, "control address of a daemon; repeatable (else all of this user on this machine)");
  command->add_option("--interval", flags->interval_seconds, "seconds between two looks (1)")->check(CLI::Range(0.1, 3600.0));
  command->add_option("--count", flags->count, "looks, then it ends (0: until it is stopped)");
  command->callback([flags, &exit_code] { exit_code = show_top(*flags); });
}

}  // namespace rse
