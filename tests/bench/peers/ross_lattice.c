/* The lattice for ROSS: a logical process a cell, in its sequential mode.
 *   ross_lattice --synch=1 --lattice=FILE [--own-ties=1]
 * A tick is a unit of ROSS's time. The canonical order of a cell's events is given to ROSS as their priority, so that
 * it decides at random between equal ones only. With --own-ties=1 it decides so on all events of a tick, as it does for
 * models that do not set priorities; mixed delays then have other results. */
#include <ross.h>

#include "lattice.h"

struct message {
  uint32_t source;
  int32_t payload;
};

static char path[4096];
static unsigned own_ties;
static const tw_optdef options[] = {
    TWOPT_GROUP("lattice"), TWOPT_CHAR("lattice", path, "file of the workload"),
    TWOPT_UINT("own-ties", own_ties, "1: ROSS orders the events of a tick"), TWOPT_END()};
static struct lattice* lattice;
static struct lattice_meter meter;
static uint32_t next_event; /* of those that are pending at first */

/* ROSS's time is one tick ahead, as nothing can be sent for the time 0. */
static void send(tw_lp* lp, uint32_t target, uint64_t delay, uint32_t source, int32_t payload) {
  const double order = own_ties ? 1 : (double)lattice_order(target, source, payload) / 0x1p34;
  tw_event* event = tw_event_new_user_prio(target, (tw_stime)delay, lp, order);
  struct message* message = tw_event_data(event);
  message->source = source;
  message->payload = payload;
  tw_event_send(event);
}

static void start(struct lattice_cell* cell, tw_lp* lp) {
  *cell = lattice->cells[lp->gid];
  for (; next_event < lattice->event_count && lattice->events[next_event].cell == lp->gid; ++next_event) {
    const struct lattice_event* event = &lattice->events[next_event];
    send(lp, event->cell, event->tick + 1, event->cell, event->payload);
  }
}

static void receive(struct lattice_cell* cell, tw_bf* bits, struct message* message, tw_lp* lp) {
  (void)bits;
  const uint32_t here = (uint32_t)lp->gid;
  lattice_count(&meter, (uint64_t)tw_now(lp) - 1, here, message->source, message->payload);
  if (lattice_done(&meter)) return;
  const uint32_t delay = lattice_delay(cell, message->payload);
  send(lp, cell->target, delay, here, lattice_next_payload(message->payload));
}

static void finish(struct lattice_cell* cell, tw_lp* lp) {
  (void)cell;
  (void)lp;
}

static tw_peid home(tw_lpid id) {
  (void)id;
  return 0;
}

static tw_lptype types[] = {{(init_f)start, NULL, (event_f)receive, NULL, NULL, (final_f)finish, (map_f)home,
                             sizeof(struct lattice_cell)},
                            {0}};

int main(int argc, char** argv) {
  tw_opt_add(options);
  tw_init(&argc, &argv);
  lattice = lattice_read(path);
  meter = lattice_meter_of(lattice);
  g_tw_events_per_pe = lattice->event_count + 1024;
  g_tw_ts_end = 0x1p52; /* the run ends because nothing is sent after the last mark */
  tw_define_lps(LATTICE_CELLS, sizeof(struct message));
  for (unsigned i = 0; i < g_tw_nlp; ++i) tw_lp_settype(i, &types[0]);
  tw_run();
  const int same = lattice_print(&meter);
  tw_end();
  return same ? 0 : 1;
}
