#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <sstream>

#include "deploy/three_node.h"
#include "node/client_status.h"
#include "node/terminal.h"

namespace rse {
namespace {

constexpr int kRefreshMilliseconds = 250;
constexpr int kPlainMilliseconds = 2000;
constexpr std::size_t kMessageLines = 12;
constexpr const char* kHelp =
    "kill|restart|pause|resume|log NAME  inject CELL  reached  verify  status  quit";

/// Single keys instead of lines, so that the display can be redrawn above what is being typed; undone at the end.
class Keyboard {
 public:
  explicit Keyboard(bool terminal) : terminal_(terminal && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!terminal_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~Keyboard() {
    if (terminal_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;

  /// A whole line when there is one; waits no longer once `other` can be read. `closed` is set at the end of the input.
  std::optional<std::string> read_line(int milliseconds, int other) {
    if (const auto line = take_line()) return line;
    pollfd waiting[2] = {{STDIN_FILENO, POLLIN, 0}, {other, POLLIN, 0}};
    if (::poll(waiting, 2, milliseconds) <= 0 || waiting[0].revents == 0) return std::nullopt;
    char bytes[256];
    const ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (got <= 0) {
      closed = got == 0 || closed;
      return std::nullopt;
    }
    for (ssize_t i = 0; i < got; ++i) key(bytes[i]);
    return take_line();
  }
  const std::string& typed() const { return typed_; }
  bool closed = false;

 private:
  void key(char c) {
    if (c == 27) {
      escape_ = true;
    } else if (escape_) {  // an arrow or another key that says nothing here: ESC, brackets and digits, a letter
      escape_ = c == '[' || c == 'O' || (c >= '0' && c <= '9') || c == ';';
    } else if (c == 127 || c == 8) {
      if (!typed_.empty()) typed_.pop_back();
    } else if (c == '\n' || c == '\r') {
      lines_.push_back(std::exchange(typed_, {}));
    } else if (c == 4 && terminal_) {
      closed = true;
    } else if (static_cast<unsigned char>(c) >= ' ') {
      typed_ += c;
    }
  }
  std::optional<std::string> take_line() {
    if (lines_.empty()) return std::nullopt;
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }
  termios before_{};
  bool terminal_;
  std::string typed_;
  bool escape_ = false;  // inside the letters that a key sends
  std::deque<std::string> lines_;
};

/// The first `columns` characters; colours take no room.
std::string clipped(const std::string& line, int columns) {
  std::string out;
  bool escape = false;
  for (const char c : line) {
    escape = escape || c == '\x1b';
    const bool takes_room = !escape && (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (takes_room && --columns < 0) return out + "\x1b[0m";
    out += c;
    if (escape && c == 'm') escape = false;
  }
  return out;
}

class Live {
 public:
  explicit Live(Story& story)
      : story_(story), terminal_(::isatty(STDOUT_FILENO) == 1 && ::isatty(STDIN_FILENO) == 1), keyboard_(terminal_) {}

  int run() {
    say(kHelp);
    while (!interrupted() && !quit_) {
      show();
      const int requests = story_.requests().descriptor();
      const int wait = terminal_ ? kRefreshMilliseconds : kPlainMilliseconds;
      const auto line = keyboard_.closed && !terminal_ ? pause(wait, requests) : keyboard_.read_line(wait, requests);
      story_.requests().carry_out();
      if (line) obey(*line);
      if (keyboard_.closed && terminal_) break;
    }
    if (terminal_) fmt::print("\n");
    return exit_code_;
  }

 private:
  static std::optional<std::string> pause(int milliseconds, int other) {
    pollfd waiting{other, POLLIN, 0};
    ::poll(&waiting, 1, milliseconds);
    return std::nullopt;
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, object, more;
    words >> verb >> object >> more;
    if (verb.empty()) return;
    if (terminal_) say("> " + line);
    if (!more.empty()) return say(fmt::format("one name at a time: \"{}\" is too much", more));
    if (verb == "quit" || verb == "exit") {
      quit_ = true;
    } else if (verb == "kill") {
      say(story_.kill(object));
    } else if (verb == "restart") {
      say(story_.restart(object));
    } else if (verb == "pause") {
      say(story_.pause(object));
    } else if (verb == "resume") {
      say(story_.resume(object));
    } else if (verb == "log") {
      say(story_.log(object, kMessageLines));
    } else if (verb == "inject") {
      say(story_.inject(object));
    } else if (verb == "reached") {
      say(story_.reached());
    } else if (verb == "verify") {
      verify();
    } else if (verb == "status") {
      if (const auto status = story_.cluster().status()) say(render_status(*status, nullptr, 0, {}));
    } else {
      if (verb != "help") say(fmt::format("there is no command \"{}\"", verb));
      say(kHelp);
    }
  }

  void verify() {
    say("verifying: the same scenario and injections again, in one process ...");
    show();
    std::string failure;
    const auto report = story_.verify(failure);
    say(report ? report->sentence : failure);
    const bool identical = report && report->verdict == VerifyReport::Verdict::kIdentical;
    exit_code_ = identical ? 0 : 1;
  }

  void say(const std::string& text) {
    if (!terminal_) {
      fmt::print("{}\n", text);
      std::fflush(stdout);
      return;
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) messages_.push_back(line);
    while (messages_.size() > kMessageLines) messages_.pop_front();
  }

  void show() {
    const auto now = std::chrono::steady_clock::now();
    const auto status = story_.cluster().status();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    if (!terminal_) {
      if (status && seconds * 1000 >= kPlainMilliseconds) plain(*status, seconds);
    } else {
      const TerminalSize size = terminal_size(STDOUT_FILENO, {.columns = 100, .rows = 40});
      paint(status ? render_status(*status, before_ ? &*before_ : nullptr, seconds, {wants_color(STDOUT_FILENO), size.columns})
                   : "no node answers\n",
            size);
    }
    if (terminal_ || seconds * 1000 >= kPlainMilliseconds) {
      before_ = status;
      last_ = now;
    }
  }

  void paint(const std::string& table, const TerminalSize& size) const {
    std::vector<std::string> lines;
    std::istringstream rows(table);
    for (std::string line; std::getline(rows, line);) lines.push_back(line);
    lines.emplace_back();
    const auto room = static_cast<std::size_t>(std::max(1, size.rows - static_cast<int>(lines.size()) - 2));
    const std::size_t shown = std::min(room, messages_.size());
    lines.insert(lines.end(), messages_.end() - static_cast<std::ptrdiff_t>(shown), messages_.end());
    lines.emplace_back();
    // Clear behind each line instead of the whole screen first: no flicker.
    std::string screen = "\x1b[H";
    for (const std::string& line : lines) screen += clipped(line, size.columns) + "\x1b[K\n";
    fmt::print("{}{}> {}\x1b[K\x1b[J", screen, story_.options().program, keyboard_.typed());
    std::fflush(stdout);
  }

  void plain(const v1::StatusReply& status, double seconds) {
    std::string text = status.verdict();
    for (int i = 0; i < status.tori_size(); ++i) {
      const v1::TorusStatus& torus = status.tori(i);
      std::string rate;
      if (before_ && before_->tori_size() > i && torus.events() >= before_->tori(i).events())
        rate = fmt::format(" {} events/s", short_number(static_cast<double>(torus.events() - before_->tori(i).events()) / seconds));
      text += fmt::format("; {} on {} epoch {}{} digest {:016x}", static_cast<char>('A' + i),
                          node_name(status, torus.host()), torus.epoch(), rate, torus.event_digest());
    }
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }

  Story& story_;
  bool terminal_;
  Keyboard keyboard_;
  bool quit_ = false;
  int exit_code_ = 0;
  std::deque<std::string> messages_;
  std::optional<v1::StatusReply> before_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

int play_live(Story& story) {
  if (::isatty(STDOUT_FILENO) == 1) fmt::print("\x1b[2J");
  return Live(story).run();
}

}  // namespace rse
