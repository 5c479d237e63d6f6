/* The lattice model of the engine's benchmark, for simulators of others: what they start from, what they must have done
 * by when, and the measurement of it. C99, as ROSS is; ns-3's model and the engine's own program include it too.
 * Threads: none. Memory: some 24 bytes an event. Errors: a file that cannot be read ends the program with a sentence.
 *
 * The file, written by `//tests/bench/peers:lattice write`, is text:
 *   MODEL EVENTS MARKS
 *   TARGET DELAY           a cell, 32,768 lines: the cell of its only edge, and the edge's first delay
 *   TICK CELL PAYLOAD      a pending event, sent by the cell to itself
 *   TICK EVENTS DIGEST     a mark: events before TICK, and their event digest (torus/engine/event.h). The first ends
 *                          the warm-up; between two marks lies a run that is measured.
 */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LATTICE_CELLS = 32768, LATTICE_MARKS_MAX = 64 };

struct lattice_cell {
  uint32_t target;
  uint32_t delay;
};

struct lattice_event {
  uint64_t tick;
  uint32_t cell;
  int32_t payload;
};

struct lattice_mark {
  uint64_t tick;
  uint64_t events;
  uint64_t digest;
};

struct lattice {
  char model[16];
  uint32_t event_count;
  uint32_t mark_count;
  struct lattice_cell cells[LATTICE_CELLS];
  struct lattice_mark marks[LATTICE_MARKS_MAX];
  struct lattice_event* events; /* ascending by cell */
};

static inline void lattice_require(int holds, const char* path, const char* part) {
  if (holds) return;
  fprintf(stderr, "cannot read %s: its %s are missing or damaged; write it again with `lattice write`\n", path, part);
  exit(2);
}

static inline struct lattice* lattice_read(const char* path) {
  struct lattice* l = (struct lattice*)calloc(1, sizeof(*l));
  FILE* file = fopen(path, "r");
  lattice_require(l != NULL && file != NULL, path, "bytes");
  lattice_require(fscanf(file, "%15s %" SCNu32 " %" SCNu32, l->model, &l->event_count, &l->mark_count) == 3 &&
                      l->mark_count >= 2 && l->mark_count <= LATTICE_MARKS_MAX,
                  path, "counts");
  l->events = (struct lattice_event*)calloc(l->event_count, sizeof(*l->events));
  lattice_require(l->events != NULL, path, "events");
  for (uint32_t i = 0; i < LATTICE_CELLS; ++i) {
    struct lattice_cell* cell = &l->cells[i];
    lattice_require(fscanf(file, "%" SCNu32 " %" SCNu32, &cell->target, &cell->delay) == 2 &&
                        cell->target < LATTICE_CELLS && cell->delay >= 1,
                    path, "cells");
  }
  for (uint32_t i = 0; i < l->event_count; ++i) {
    struct lattice_event* event = &l->events[i];
    lattice_require(
        fscanf(file, "%" SCNu64 " %" SCNu32 " %" SCNd32, &event->tick, &event->cell, &event->payload) == 3 &&
            event->cell < LATTICE_CELLS && (i == 0 || event->cell >= l->events[i - 1].cell),
        path, "events");
  }
  for (uint32_t i = 0; i < l->mark_count; ++i) {
    struct lattice_mark* mark = &l->marks[i];
    lattice_require(
        fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNx64, &mark->tick, &mark->events, &mark->digest) == 3, path,
        "marks");
  }
  fclose(file);
  return l;
}

/* The relay's rule: the delay with which a cell sends on what it received. */
static inline uint32_t lattice_delay(struct lattice_cell* cell, int32_t payload) {
  if (payload <= 0) return cell->delay += cell->delay != UINT32_MAX;
  return cell->delay -= cell->delay > 1;
}

static inline int32_t lattice_next_payload(int32_t payload) { return (int32_t)((uint32_t)payload + 1); }

/* Canonical order of the events of a cell in a tick: source, then payload. Below 2^34. A cell hears of itself (its
 * first events) and of the one cell that has its edge, so "before, itself, after" is all that the source says. */
static inline uint64_t lattice_order(uint32_t dst, uint32_t src, int32_t payload) {
  const uint64_t source = src < dst ? 0 : src == dst ? 1 : 2;
  return source << 32 | ((uint32_t)payload ^ 0x80000000u);
}

static inline uint64_t lattice_fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Counts, digests and times the events as they come. */
struct lattice_meter {
  const struct lattice* lattice;
  uint64_t tick;
  uint64_t tick_sum; /* of the digest terms of this tick */
  uint64_t events;
  uint64_t digest;
  uint32_t mark; /* the next one; mark_count: all is done, nothing need be sent any more */
  struct lattice_mark reached[LATTICE_MARKS_MAX];
  clock_t clocks[LATTICE_MARKS_MAX];
};

static inline struct lattice_meter lattice_meter_of(const struct lattice* l) {
  struct lattice_meter meter;
  memset(&meter, 0, sizeof(meter));
  meter.lattice = l;
  return meter;
}

static inline int lattice_done(const struct lattice_meter* meter) {
  return meter->mark == meter->lattice->mark_count;
}

/* Ends the tick before: its digest, and the marks that lie between. */
static inline void lattice_tick(struct lattice_meter* meter, uint64_t tick) {
  if (meter->events != 0) {
    meter->digest = lattice_fold(meter->digest ^ meter->tick_sum, meter->tick ^ 0x589965CC75374CC3u);
  }
  for (; !lattice_done(meter) && meter->lattice->marks[meter->mark].tick <= tick; ++meter->mark) {
    meter->clocks[meter->mark] = clock();
    const struct lattice_mark reached = {meter->lattice->marks[meter->mark].tick, meter->events, meter->digest};
    meter->reached[meter->mark] = reached;
  }
  meter->tick = tick;
  meter->tick_sum = 0;
}

/* Call it for each event, first of all. */
static inline void lattice_count(struct lattice_meter* meter, uint64_t tick, uint32_t dst, uint32_t src,
                                 int32_t payload) {
  if (tick != meter->tick) lattice_tick(meter, tick);
  ++meter->events;
  meter->tick_sum += lattice_fold(tick ^ ((uint32_t)payload * 0x9E3779B97F4A7C15u) ^ 0xA0761D6478BD642Fu,
                                  ((uint64_t)dst << 32 | src) ^ 0xE7037ED1A0B428DBu);
}

/* A line a measured run: million events a second of processor time, events, digest, and "same" if both are the file's.
 * Returns whether all are. */
static inline int lattice_print(const struct lattice_meter* meter) {
  int same_everywhere = lattice_done(meter);
  for (uint32_t i = 1; i < meter->mark; ++i) {
    const struct lattice_mark* reached = &meter->reached[i];
    const double seconds = (double)(meter->clocks[i] - meter->clocks[i - 1]) / CLOCKS_PER_SEC;
    const uint64_t events = reached->events - meter->reached[i - 1].events;
    const int same = memcmp(reached, &meter->lattice->marks[i], sizeof(*reached)) == 0;
    same_everywhere = same_everywhere && same;
    printf("run %.4f %" PRIu64 " %016" PRIx64 " %s\n", (double)events / seconds / 1e6, events, reached->digest,
           same ? "same" : "different");
  }
  fflush(stdout);
  return same_everywhere;
}
