// A daemon on a host of a test network, with a data directory, and what it has said.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <regex>
#include <string>
#include <vector>

#include "node/client_local_cluster.h"
#include "node/client_machine.h"
#include "tests/e2e/process.h"

namespace rse {

inline constexpr std::chrono::seconds kLanLimit{30};
inline constexpr const char* kJoined = "this node is a member";

/// Polls until `done`.
template <class F>
bool wait_until(F done, std::chrono::milliseconds limit = kLanLimit) {
  for (const auto end = std::chrono::steady_clock::now() + limit; !done(); wait_a_little())
    if (std::chrono::steady_clock::now() > end) return false;
  return true;
}

struct LanNode {
  /// `enter`: see Machine::Command.
  LanNode(const TemporaryFolder& folder, std::string name, std::function<bool()> enter)
      : name(std::move(name)), enter(std::move(enter)), data(folder.path(this->name)), log(data + ".log"), control(data + ".sock") {}

  void start(std::vector<std::string> flags, const std::string& ticket = {}) {
    std::vector<std::string> words{find_binary("rse-node"), "--name", name, "--data-dir", data, "--control", control};
    words.insert(words.end(), flags.begin(), flags.end());
    Machine::Command command{.words = words, .log = log, .environment = {{"RSE_RUNTIME_DIR", data + ".run"}}, .enter = enter};
    if (!ticket.empty()) command.environment.emplace_back("RSE_TICKET", ticket);
    REQUIRE(machine.start(command).empty());
  }
  void found(std::vector<std::string> flags) {
    flags.push_back("--found");
    start(std::move(flags));
  }
  bool said(const std::string& words) const { return read_file(log).find(words) != std::string::npos; }
  bool says(const std::string& words, std::chrono::milliseconds limit = kLanLimit) const {
    return wait_until([&] { return said(words); }, limit);
  }
  Finished rse(std::vector<std::string> words) const {
    words.insert(words.begin(), find_binary("rse"));
    words.insert(words.end(), {"--control", control});
    return run_program(words, kLanLimit);
  }
  bool shows(const std::string& words) const {
    return wait_until([&] { return rse({"status"}).output.find(words) != std::string::npos; });
  }
  std::string ticket(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"ticket", "create"};
    words.insert(words.end(), more.begin(), more.end());
    std::smatch found;
    std::string output;
    const bool made = wait_until([&] {
      output = rse(words).output;
      return std::regex_search(output, found, std::regex("rse1_[A-Za-z0-9_-]+"));
    });
    REQUIRE_MESSAGE(made, output);
    return found.str();
  }

  std::string name;
  std::function<bool()> enter;
  std::string data, log, control;
  Machine machine;
};

}  // namespace rse
