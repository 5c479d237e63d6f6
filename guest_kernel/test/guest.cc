#include "guest_kernel/test/guest.h"

#include "tests/e2e/process.h"

namespace rse {

std::vector<std::string> guest_words(const GuestOptions& options) {
  std::vector<std::string> words = {"/usr/bin/qemu-system-x86_64",
                                    "-machine", "q35",
                                    "-accel", "tcg",
                                    "-cpu", "qemu64",
                                    "-m", std::to_string(options.memory_megabytes),
                                    "-monitor", "none",
                                    "-display", "none",
                                    "-nodefaults",
                                    "-no-reboot",
                                    "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"};
  const auto add = [&words](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  if (options.iso.empty()) {
    add({"-kernel", options.image, "-append", options.command_line});
  } else {
    add({"-cdrom", options.iso, "-vga", "std"});
  }
  if (!options.module.empty()) add({"-initrd", options.module});
  if (!options.firmware.empty()) add({"-bios", options.firmware});
  add({"-serial", "stdio"});
  words.insert(words.end(), options.devices.begin(), options.devices.end());
  if (!options.serial_input.empty()) {
    words.insert(words.begin(), {"/bin/sh", "-c", "exec \"$@\" <'" + options.serial_input + "'", "guest"});
  }
  return words;
}

GuestRun run_guest(const GuestOptions& options) {
  const Finished finished = run_program(guest_words(options), options.limit);
  return {finished.exit_code, finished.output};
}

}  // namespace rse
