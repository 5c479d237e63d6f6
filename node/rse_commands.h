// The subcommands of `rse` that talk to a running cluster. Each adds itself to the command line; when it was chosen, its
// callback does the work and sets `exit_code` (0 done or healthy, 1 failed, 2 usage, 3 cannot reach, 10 degraded).
// Words go to stderr, data to stdout.
#pragma once

namespace CLI {
class App;
}

namespace rse {

void add_status_command(CLI::App& app, int& exit_code);
void add_load_command(CLI::App& app, int& exit_code);
void add_inject_command(CLI::App& app, int& exit_code);
void add_spawn_command(CLI::App& app, int& exit_code);
void add_ps_command(CLI::App& app, int& exit_code);
void add_reached_command(CLI::App& app, int& exit_code);
void add_outputs_command(CLI::App& app, int& exit_code);
void add_kill_node_command(CLI::App& app, int& exit_code);
void add_verify_command(CLI::App& app, int& exit_code);
void add_override_command(CLI::App& app, int& exit_code);
void add_bench_command(CLI::App& app, int& exit_code);
void add_history_command(CLI::App& app, int& exit_code);  // history, incident
void add_dashboard_command(CLI::App& app, int& exit_code);
void add_doctor_command(CLI::App& app, int& exit_code);
void add_top_command(CLI::App& app, int& exit_code);
void add_trace_commands(CLI::App& app, int& exit_code);  // trace, replay
void add_trust_commands(CLI::App& app, int& exit_code);  // ticket, forget

/// All of the above.
void add_cluster_commands(CLI::App& app, int& exit_code);

}  // namespace rse
