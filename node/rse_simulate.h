// `rse simulate SCENARIO --epochs N`: the three tori in this process; events, digests and rates on stdout.
#pragma once

namespace CLI {
class App;
}

namespace rse {

/// Exit codes: 0 done, 1 the scenario cannot be read, loaded or run that far, or a conservation law broke.
void add_simulate_command(CLI::App& app, int& exit_code);

}  // namespace rse
