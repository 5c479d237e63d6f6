#include "guest_kernel/test/guest.h"

#include "tests/e2e/process.h"

namespace rse {

GuestRun run_guest(const GuestOptions& options) {
  std::vector<std::string> words = {"/usr/bin/qemu-system-x86_64",
                                    "-machine", "q35",
                                    "-accel", "tcg",
                                    "-cpu", "qemu64",
                                    "-m", std::to_string(options.memory_megabytes),
                                    "-kernel", options.image,
                                    "-append", options.command_line,
                                    "-serial", "stdio",
                                    "-monitor", "none",
                                    "-display", "none",
                                    "-nodefaults",
                                    "-no-reboot",
                                    "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"};
  if (!options.module.empty()) {
    words.push_back("-initrd");
    words.push_back(options.module);
  }
  words.insert(words.end(), options.devices.begin(), options.devices.end());
  const Finished finished = run_program(words, std::chrono::seconds(60));
  return {finished.exit_code, finished.output};
}

}  // namespace rse
