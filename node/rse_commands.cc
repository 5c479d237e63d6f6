#include "node/rse_commands.h"

namespace rse {

void add_cluster_commands(CLI::App& app, int& exit_code) {
  add_status_command(app, exit_code);
  add_top_command(app, exit_code);
  add_load_command(app, exit_code);
  add_inject_command(app, exit_code);
  add_spawn_command(app, exit_code);
  add_ps_command(app, exit_code);
  add_reached_command(app, exit_code);
  add_outputs_command(app, exit_code);
  add_kill_node_command(app, exit_code);
  add_verify_command(app, exit_code);
  add_history_command(app, exit_code);
  add_trace_commands(app, exit_code);
  add_override_command(app, exit_code);
  add_bench_command(app, exit_code);
  add_trust_commands(app, exit_code);
  add_dashboard_command(app, exit_code);
  add_doctor_command(app, exit_code);
}

}  // namespace rse
