// A program run to its end, with what it printed: for stories about exit codes and messages.
// Threads: one. Memory: the output. Errors: a program that does not end in time is killed, exit code -1.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace rse {

struct Finished {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};

/// `words`: the program's path and its arguments. It dies with this process. `until`: as soon as it has printed that, it is told to
/// end (SIGTERM).
Finished run_program(const std::vector<std::string>& words, std::chrono::seconds limit = std::chrono::seconds(30),
                     const std::string& until = {});

/// A folder of this test, removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& root() const { return path_; }

 private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& text);
/// Empty where it cannot be read.
std::string read_file(const std::string& path);

}  // namespace rse
