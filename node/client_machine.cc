#include "node/client_machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "transport/monotonic_clock.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kPollInterval{2};

[[noreturn]] void become(const Machine::Command& command, char* const* arguments, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  ::setpgid(0, 0);                          // a Ctrl-C is for the launcher, which ends its children in order
  if (command.enter && !command.enter()) ::_exit(126);
  for (const auto& [name, value] : command.environment) ::setenv(name.c_str(), value.c_str(), 1);
  const int out = ::open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, STDIN_FILENO);
  ::execv(command.words.front().c_str(), arguments);
  ::_exit(127);
}

}  // namespace

void wait_a_little() { std::this_thread::sleep_for(kPollInterval); }

std::string Machine::start(const Command& command) {
  std::vector<std::string> words = command.words;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fmt::format("cannot start {}: {}", command.words.front(), std::strerror(errno));
  if (child == 0) become(command, arguments.data(), parent);
  process_ = child;
  paused_ = false;
  return {};
}

std::uint64_t Machine::kill() {
  const Instant now = monotonic_now();
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  process_ = -1;
  paused_ = false;
  return now.raw;
}

void Machine::pause() {
  if (process_ > 0) ::kill(process_, SIGSTOP);
  paused_ = process_ > 0;
}

void Machine::resume() {
  if (process_ > 0) ::kill(process_, SIGCONT);
  paused_ = false;
}

void Machine::ask_to_end() {
  resume();
  if (process_ > 0) ::kill(process_, SIGTERM);
}

int Machine::wait_for_end(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    if (const std::optional<int> code = take_end()) return *code;
    if (std::chrono::steady_clock::now() > end) {
      kill();
      return -1;
    }
    wait_a_little();
  }
}

std::optional<int> Machine::take_end() {
  if (process_ < 0) return -1;
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) == 0) return std::nullopt;
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool Machine::running() {
  if (process_ < 0) return false;
  if (::waitpid(process_, nullptr, WNOHANG) == 0) return true;
  process_ = -1;
  paused_ = false;
  return false;
}

std::uint64_t Machine::resident_bytes() const {
  std::ifstream statm(fmt::format("/proc/{}/statm", process_));
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace rse
