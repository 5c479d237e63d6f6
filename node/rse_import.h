// `rse import EDGES.tsv | --dpkg [STATUS]`: a network that exists as a scenario, with the names of
// its cells.
#pragma once

namespace CLI {
class App;
}

namespace rse {

/// Exit codes: 0 done, 1 the input cannot be read or the output not written, 2 both or neither
/// input given.
void add_import_command(CLI::App& app, int& exit_code);

}  // namespace rse
