// bazel run -c opt //tests/bench:guest -- [--json] [--linux VMLINUZ] [--only boot,exchange,engine,idle]
// What virtual machines with our kernel cost and how fast they are: from QEMU's start to a node that hosts its tori, beside Linux to
// its first program; a projection from guest to guest; the engine in a guest beside the same engine under QEMU's user emulation;
// an idle cluster's share of a core. All by the accelerator that works here, which is said.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <thread>

#include "deploy/virtual_machines.h"
#include "node/client_cluster_access.h"
#include "node/client_local_cluster.h"
#include "node/local_run.h"
#include "node/scenario_text.h"
#include "tests/e2e/process.h"

namespace rse {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartLimit{60};
constexpr std::chrono::seconds kIdleSettle{5};
constexpr int kLinuxMegabytes = 512;
constexpr std::uint64_t kEngineEpochs = 2000;
constexpr const char* kEngineScenario = "deploy/scenarios/phold_small.textproto";

struct Settings {
  bool json = false;
  int starts = 21;
  int idle_seconds = 20;
  std::string linux_kernel;
  std::vector<std::string> only;
  bool wants(const std::string& series) const { return only.empty() || std::find(only.begin(), only.end(), series) != only.end(); }
};

[[noreturn]] void stop(const std::string& why) {
  fmt::print(stderr, "guest bench: {}\n", why);
  std::exit(1);
}

/// A program whose output is read here. SIGKILL at the latest when the object goes.
class Reader {
 public:
  explicit Reader(const std::vector<std::string>& words) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) stop("cannot make a pipe");
    began_ = Clock::now();
    process_ = ::fork();
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(::open("/dev/null", O_RDONLY), 0);
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      std::vector<char*> arguments;
      for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
      arguments.push_back(nullptr);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  ~Reader() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    ::close(pipe_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Milliseconds from its start until it has said `words`; stops the benchmark if it never does.
  double until(const std::string& words) {
    while (text_.find(words) == std::string::npos) {
      pollfd waiting{pipe_, POLLIN, 0};
      char bytes[4096];
      const bool late = Clock::now() - began_ > kStartLimit || ::poll(&waiting, 1, 1000) < 0;
      const ssize_t size = late || waiting.revents == 0 ? 0 : ::read(pipe_, bytes, sizeof bytes);
      if (late || (waiting.revents != 0 && size <= 0)) stop(fmt::format("a machine never said \"{}\":\n{}", words, text_));
      text_.append(bytes, static_cast<std::size_t>(size));
    }
    return std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
  }
  /// Asks it to end, and waits until it has.
  void end() {
    ::kill(process_, SIGTERM);
    for (char bytes[4096]; ::read(pipe_, bytes, sizeof bytes) > 0;) {}
  }
  /// Milliseconds of processor time that its threads have used.
  double used() const {
    double nanoseconds = 0;
    for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process_)))
      nanoseconds += std::strtod(read_file(thread.path() / "schedstat").c_str(), nullptr);
    return nanoseconds / 1e6;
  }
  const std::string& text() const { return text_; }
  pid_t process() const { return process_; }

 private:
  pid_t process_ = -1;
  int pipe_ = -1;
  Clock::time_point began_;
  std::string text_;
};

struct Spread {
  double least = 0, median = 0, most = 0;
};
Spread spread_of(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return {all.front(), all[all.size() / 2], all.back()};
}

/// One object of what was measured, in order.
class Report {
 public:
  explicit Report(bool json) : json_(json) {}
  void add(const std::string& name, double value, const char* unit, const std::string& what) {
    if (json_) {
      members_ += fmt::format(R"({}"{}":{:.3f})", members_.empty() ? "" : ",", name, value);
    } else {
      fmt::print("{:<72} {:>12.1f} {}\n", what, value, unit);
      std::fflush(stdout);
    }
  }
  void finish(const Accelerator& accelerator) const {
    if (json_) fmt::print("{{\"accelerator\":\"{}\",{}}}\n", accelerator.name, members_);
  }

 private:
  bool json_;
  std::string members_;
};

// --- From QEMU's start to a torus that runs. ---

/// An archive as Linux unpacks it (newc): one program, /init, and the console that it writes to.
std::string initial_files(const std::string& program) {
  std::string archive;
  const auto add = [&archive](const std::string& name, unsigned mode, const std::string& content, unsigned major, unsigned minor) {
    archive += fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", 0, mode, 0, 0, 1, 0,
                           content.size(), 0, 0, major, minor, name.size() + 1, 0);
    archive += name + '\0';
    archive.resize((archive.size() + 3) / 4 * 4);
    archive += content;
    archive.resize((archive.size() + 3) / 4 * 4);
  };
  add("dev", 0040755, "", 0, 0);
  add("dev/console", 0020600, "", 5, 1);
  add("init", 0100755, program, 0, 0);
  add("TRAILER!!!", 0, "", 0, 0);
  return archive;
}

void measure_boot(const Settings& settings, VirtualMachines& machines, const TemporaryFolder& folder, Report& report) {
  if (const std::string failure = machines.serve(folder.path("memory"), folder.path("bells")); !failure.empty()) stop(failure);
  std::vector<std::string> linux_words;
  if (!settings.linux_kernel.empty()) {
    const std::string init = find_runfile("tests/bench/linux_init");
    write_file(folder.path("initrd"), initial_files(read_file(init)));
    linux_words = machines.machine(kLinuxMegabytes, settings.linux_kernel);
    linux_words.insert(linux_words.end(), {"-serial", "stdio", "-initrd", folder.path("initrd"), "-append", "console=ttyS0 quiet"});
  }
  std::vector<double> first_line, first_line_used, torus, torus_used, linux_init, linux_init_used;
  for (int start = 0; start < settings.starts; ++start) {  // in turn, so that both see the same machine
    {
      Reader guest(machines.command("a", random_id(), true));
      first_line.push_back(guest.until("rse kernel: started"));
      first_line_used.push_back(guest.used());
      torus.push_back(guest.until("A on a B on a C on a"));
      torus_used.push_back(guest.used());
    }
    if (linux_words.empty()) continue;
    Reader other(linux_words);
    linux_init.push_back(other.until("linux: first program"));
    linux_init_used.push_back(other.used());
  }
  const auto add = [&report](const std::string& name, const std::vector<double>& took, const std::vector<double>& used, const std::string& what) {
    const Spread spread = spread_of(took);
    report.add(name + "_ms_p50", spread.median, "ms", what + fmt::format(" ({:.0f} to {:.0f})", spread.least, spread.most));
    report.add(name + "_processor_ms_p50", spread_of(used).median, "ms", "  processor time of that, which a busy machine does not lengthen much");
  };
  add("boot_first_line", first_line, first_line_used, "QEMU's start to the kernel's first line");
  add("boot_torus", torus, torus_used, "QEMU's start to a node that hosts its tori");
  if (!linux_init.empty()) add("boot_linux_init", linux_init, linux_init_used, "QEMU's start to Linux's first program");
}

// --- A projection from guest to guest. ---

double number_after(const std::string& text, const std::string& line, const std::string& word) {
  const std::size_t begin = text.find(line);
  const std::size_t at = begin == std::string::npos ? begin : text.find(word, begin);
  if (at == std::string::npos) stop(fmt::format("no \"{}\" in what a guest has said:\n{}", word, text));
  return std::strtod(text.c_str() + at + word.size(), nullptr);
}

void measure_exchange(VirtualMachines& machines, const TemporaryFolder& folder, Report& report) {
  if (const std::string failure = machines.serve(folder.path("exchange"), folder.path("exchange_bells")); !failure.empty()) stop(failure);
  std::vector<std::string> words = machines.machine(128, find_runfile("guest_kernel/test/tests"));
  words.insert(words.end(), {"-serial", "stdio", "-append", "test=device-exchange", "-chardev",
                             "socket,id=bells,path=" + folder.path("exchange_bells"), "-device", "ivshmem-doorbell,chardev=bells,vectors=1"});
  Finished other;
  std::thread second([&] { other = run_program(words, kStartLimit); });
  const Finished one = run_program(words, kStartLimit);
  second.join();
  const std::string said = one.output + other.output;
  for (const auto& [line, name, what] : {std::tuple{"exchange: looking", "exchange_polling", "both looking"},
                                         {"exchange: doorbells", "exchange_doorbell", "both asleep until a doorbell"}}) {
    for (const char* share : {"p50", "p99"}) {
      report.add(fmt::format("{}_us_{}", name, share), number_after(said, line, fmt::format("{}_ns=", share)) / 1000, "us",
                 fmt::format("a projection of {:.0f} bytes, encode to decode, {}, {}", number_after(said, line, "bytes="), what, share));
    }
  }
}

// --- The engine. ---

Scenario engine_scenario() {
  std::string failure;
  auto scenario = read_scenario(find_runfile(kEngineScenario), failure);
  if (!scenario) stop(failure);
  return std::move(*scenario);
}

/// Prints what a guest prints: this program starts itself with it, under emulation.
int run_engine() {
  LocalRun run({.threads = RunThreads::kOne});
  std::string failure;
  if (!run.load(engine_scenario(), failure)) stop(failure);
  const auto begin = Clock::now();
  run.run(Epoch{kEngineEpochs});
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus)
    fmt::print("torus {}: events={} pending=\n", letter_of({torus}), run.machine({torus}).torus().counters().events);
  fmt::print("simulate: microseconds={}\n", took);
  return 0;
}

double events_per_second(const std::string& said) {
  double events = 0;
  for (const char* line : {"torus A:", "torus B:", "torus C:"}) events += number_after(said, line, "events=");
  return events / number_after(said, "simulate:", "microseconds=") * 1e6;
}

void measure_engine(VirtualMachines& machines, const TemporaryFolder& folder, Report& report) {
  const Bytes bytes = encode_scenario(engine_scenario());
  write_file(folder.path("scenario"), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  std::vector<std::string> guest = machines.machine(1024, find_runfile("guest_kernel/kernel"));
  guest.insert(guest.end(), {"-serial", "stdio", "-append", fmt::format("simulate={}", kEngineEpochs), "-initrd", folder.path("scenario")});
  std::vector<double> in_guest, emulated, native;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  for (int round = 0; round < 3; ++round) {
    in_guest.push_back(events_per_second(run_program(guest, kStartLimit).output));
    const Finished under = run_program({"/usr/bin/qemu-x86_64", self, "--run-engine"}, kStartLimit);
    if (under.exit_code == 0) emulated.push_back(events_per_second(under.output));
    native.push_back(events_per_second(run_program({self, "--run-engine"}, kStartLimit).output));
  }
  report.add("events_per_second_guest", spread_of(in_guest).median, "/s", "events a second in a guest, three tori in turn, median of 3");
  if (!emulated.empty()) {
    report.add("events_per_second_host_emulated", spread_of(emulated).median, "/s", "the same program of the host under qemu-x86_64");
  }
  report.add("events_per_second_host", spread_of(native).median, "/s", "the same program of the host");
}

// --- An idle cluster. ---

/// Seconds of processor time that a process has used.
double used_seconds(const std::string& process) {
  const std::string line = read_file("/proc/" + process + "/stat");
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) stop("a node of the idle cluster has ended");
  unsigned long user = 0, system = 0;
  std::sscanf(line.c_str() + name_end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void measure_idle(const Settings& settings, const TemporaryFolder& folder, Report& report) {
  write_file(folder.path("idle.textproto"), "edge { from { x: 0 } to { x: 1 } delay: 5 }\n");
  Reader launcher({find_runfile("deploy/three_vm"), "--script", "--injections", "0", "--epochs", "1000000000", "--http", "127.0.0.1:0",
                   "--scenario", folder.path("idle.textproto")});
  launcher.until("kill one");
  std::map<std::string, std::string> processes;
  for (const char* name : {"a", "b", "c", "observer"}) {
    const std::size_t row = launcher.text().find(fmt::format("\n{:<10}", name));
    const std::size_t at = launcher.text().find("process ", row);
    processes[name] = launcher.text().substr(at + 8, launcher.text().find(',', at) - at - 8);
  }
  processes["launcher"] = std::to_string(launcher.process());
  std::this_thread::sleep_for(kIdleSettle);
  std::map<std::string, double> before;
  for (const auto& [name, process] : processes) before[name] = used_seconds(process);
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(settings.idle_seconds));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  double all = 0;
  for (const auto& [name, process] : processes) {
    const double percent = (used_seconds(process) - before[name]) / seconds * 100;
    all += percent;
    report.add("idle_percent_" + name, percent, "% of a core", "an idle cluster: " + name);
  }
  report.add("idle_percent_all", all, "% of a core", "an idle cluster: all of it");
  launcher.end();
}

}  // namespace
}  // namespace rse

int main(int argc, char** argv) {
  rse::Settings settings;
  bool engine_only = false;
  CLI::App app{"What guests of our kernel cost: boot, exchange, engine, idle"};
  app.add_flag("--json", settings.json, "one object");
  app.add_option("--linux", settings.linux_kernel, "a Linux kernel to boot beside ours, e.g. /boot/vmlinuz-...-cloud-amd64")->check(CLI::ExistingFile);
  app.add_option("--starts", settings.starts, "of each kernel (21)")->check(CLI::Range(1, 1000));
  app.add_option("--idle-seconds", settings.idle_seconds, "how long an idle cluster is watched (20)")->check(CLI::Range(1, 3600));
  app.add_option("--only", settings.only, "these alone: boot, exchange, engine, idle")
      ->delimiter(',')
      ->check(CLI::IsMember({"boot", "exchange", "engine", "idle"}));
  app.add_flag("--run-engine", engine_only, "what this program starts itself with, to be emulated")->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (engine_only) return rse::run_engine();
  const rse::TemporaryFolder folder;
  rse::VirtualMachines machines;
  if (const std::string failure = machines.find(); !failure.empty()) rse::stop(failure);
  const rse::Accelerator& accelerator = machines.choose_accelerator();
  if (!settings.json) fmt::print("machines: {} ({})\n", accelerator.name, accelerator.why);
  rse::Report report(settings.json);
  if (settings.wants("boot")) rse::measure_boot(settings, machines, folder, report);
  if (settings.wants("exchange")) rse::measure_exchange(machines, folder, report);
  if (settings.wants("engine")) rse::measure_engine(machines, folder, report);
  if (settings.wants("idle")) rse::measure_idle(settings, folder, report);
  report.finish(accelerator);
  return 0;
}
