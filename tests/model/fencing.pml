/* Fencing and injections: one torus X, its host, those that hold its seals, and a sequence of views that may change all of
   them at any moment. The abstraction, the bounds and the results are in model.md; the code is braid_running.cc,
   braid_gather.cc, braid_rebuild.cc and install() in braid_agreement.cc.

   Messages are not kept one by one. What a node has once said may arrive never, late or again, so it stands for ever in
   `told` (heartbeats), in `seal` with `sent_in` (packets) and in `join`. */

#ifndef NODES
#define NODES 3
#endif
#ifndef VIEWS
#define VIEWS 3      /* view numbers 1..VIEWS */
#endif
#ifndef EPOCHS
#define EPOCHS 2     /* epochs of X that are sealed */
#endif
#ifndef CRASHES
#define CRASHES 1    /* the processes that die; they come back with nothing */
#endif
#define ALL ((1 << NODES) - 1)

/* --- Views. Written once by the first who installs the view; that no number has two is what agreement.pml shows. --- */
byte newest = 1;
byte host[VIEWS + 1];        /* of X */
byte since[VIEWS + 1];       /* hosted_since of X */
byte members[VIEWS + 1];
byte holders[VIEWS + 1];     /* the nodes that host a torus: they take X's packets, and their word counts */
byte admitted[VIEWS + 1];    /* members that were none in the view before */

/* --- A node. A log holds one content for each epoch: 0 = none, else 2 * (view since which its sealer hosts) + injected. --- */
byte view[NODES];
byte life[NODES];            /* bit 0: runs; bit 1: restarted, not admitted yet */
byte log[NODES * EPOCHS];
bit official[NODES];         /* may seal X */
byte gathered_from[NODES];   /* who has answered in the view that it is in */
byte gathered[NODES * EPOCHS];
byte told[NODES * (VIEWS + 1)];    /* epochs of X that it has said to hold, by the view in which it said so */
byte join[NODES];            /* bit v: this life has asked, knowing view v, to become a member */

/* --- What hosts have sealed, by the view since which they host. --- */
byte seal[(VIEWS + 1) * EPOCHS];
byte sent_in[VIEWS + 1];     /* the newest view in which that host has sent */

/* --- What the outside has seen. --- */
byte used[EPOCHS];           /* the content that counted as held by two: clients were answered, the host went on */
byte crashes = 0;
bit wounded = 0;             /* a node was lost, and the cluster has not been seen healthy since */

#define bit_of(node) (1 << (node))
#define has(mask, node) (((mask) >> (node)) & 1)
#define LOG(node, epoch) log[(node) * EPOCHS + (epoch)]
#define GATHERED(node, epoch) gathered[(node) * EPOCHS + (epoch)]
#define SEAL(from_view, epoch) seal[(from_view) * EPOCHS + (epoch)]
#define TOLD(node, number) told[(node) * (VIEWS + 1) + (number)]
#define has_injection(content) ((content) & 1)
#define sealed_since(content) ((content) >> 1)
#if EPOCHS == 1
#define length(node) (LOG(node, 0) == 0 -> 0 : 1)
#elif EPOCHS == 2
#define length(node) (LOG(node, 0) == 0 -> 0 : (LOG(node, 1) == 0 -> 1 : 2))
#else
#define length(node) (LOG(node, 0) == 0 -> 0 : (LOG(node, 1) == 0 -> 1 : (LOG(node, 2) == 0 -> 2 : 3)))
#endif
#define count_of(mask) (((mask) & 1) + (((mask) >> 1) & 1) + (((mask) >> 2) & 1) + (((mask) >> 3) & 1))
#define am_member(node) (life[node] == 1 && has(members[view[node]], node))
#define am_host(node) (am_member(node) && host[view[node]] == (node))

/* Nothing is lost that has not been replaced: all members run in the newest view, X has its host, and its holders hold what
   it holds. */
#define settled(node) (!has(members[newest], node) || (life[node] == 1 && view[node] == newest && \
    (!has(holders[newest], node) || length(node) == length(host[newest]))))
#if NODES == 4
#define healthy (official[host[newest]] && settled(0) && settled(1) && settled(2) && settled(3))
#else
#define healthy (official[host[newest]] && settled(0) && settled(1) && settled(2))
#endif
/* One failure at a time. The removal of a node that lives is a failure too. */
#ifdef ANY_FAILURES
#define may_fail 1
#else
#define may_fail (!wounded || healthy)
#endif

/* A heartbeat: cumulative, and the newest of a view says it all. */
inline say(node) {
  if
  :: am_member(node) && length(node) > TOLD(node, view[node]) -> TOLD(node, view[node]) = length(node)
  :: else
  fi
}

inline forget_gather(node) {
  gathered_from[node] = 0;
  e = 0;
  do
  :: e < EPOCHS -> GATHERED(node, e) = 0; e++
  :: else -> break
  od;
  e = 0
}

/* Whether view `number` has this life of `node` as a member because of a Join that this life has sent. */
inline find_admission(node, number) {
  yes = 0;
  k = 2;
  do
  :: k <= number ->
    if
    :: has(admitted[k], node) && has(members[number], node) && has(join[node], k - 1) -> yes = 1
    :: else
    fi;
    k++
  :: else -> break
  od;
  k = 0
}

/* install() of braid_agreement.cc, from view[node] to `number`. */
inline install(node, number) {
  d_step {
    find_admission(node, number);
    if
    :: yes && !am_member(node) ->
#ifndef PLANT_ADMITTED_KEEPS_LOG
      e = 0;
      do
      :: e < EPOCHS -> LOG(node, e) = 0; e++
      :: else -> break
      od;
      e = 0;
#endif
      life[node] = 1
    :: else
    fi;
    if
    :: official[node] && (host[number] != node || since[number] != since[view[node]] || !has(members[number], node)) ->
      official[node] = 0
    :: else
    fi;
    view[node] = number;
    forget_gather(node);
    if
    :: official[node] -> sent_in[since[number]] = number
    :: else
    fi;
    say(node);
    yes = 0
  }
}

/* One node in or out of the next view. Out: it has crashed, or is suspected, rightly or not. In: it is, or has asked. */
#ifdef PLANT_JOIN_OF_ANY_VIEW   /* a Join from before the removal lets it in again, and it never knows that it was out */
#define asks_to_join(node) (life[node] && (join[node] || life[node] == 1))
#else
#define asks_to_join(node) has(join[node], newest)
#endif
inline choose(node) {
  if
  :: has(members[newest], node) -> mask = mask | bit_of(node)
  :: has(members[newest], node) && life[node] != 1
  :: has(members[newest], node) && life[node] == 1 && may_fail -> yes = 1
  :: !has(members[newest], node) && asks_to_join(node) -> mask = mask | bit_of(node)
  :: !has(members[newest], node)
  fi
}

/* The first to install the next view says what it is. At least two of the members of before stay and hold tori; X stays
   where it is, or moves to any of them. */
#ifdef FEW_MOVES   /* X moves only when its host is lost, or to a node that hosted nothing; every member that can holds */
#define may_host(node) ((node) == host[newest] || !has(hold, host[newest]) || !has(holders[newest], node))
#else
#define may_host(node) 1
#endif
inline decide(node) {
  mask = 0;
  yes = 0;
  choose(0);
  choose(1);
  choose(2);
#if NODES == 4
  choose(3);
#endif
  k = 0;
  do
  :: k < NODES - 1 && !(newest == 1 && k == 1) -> k++   /* the others are alike at first: host 2 is host 1 renamed */
  :: break
  od;
  hold = mask & members[newest];
  if
  :: 1
#ifndef FEW_MOVES
  :: count_of(hold) > 2 && k != 0 -> hold = hold & ~1
  :: count_of(hold) > 2 && k != 1 -> hold = hold & ~2
  :: count_of(hold) > 2 && k != 2 -> hold = hold & ~4
#endif
  fi;
  if
  :: count_of(hold) >= 2 && has(hold, k) && may_host(k) &&
       (mask != members[newest] || k != host[newest] || hold != holders[newest]) ->
    newest++;
    wounded = wounded | yes;
    members[newest] = mask;
    admitted[newest] = mask & ~members[newest - 1];
    holders[newest] = hold;
    host[newest] = k;
    since[newest] = (k == host[newest - 1] -> since[newest - 1] : newest);
    k = 0;
    mask = 0;
    hold = 0;
    yes = 0;
    install(node, newest)
  :: else
  fi;
  k = 0;
  mask = 0;
  hold = 0;
  yes = 0
}

/* Whoever is no member, or came back, asks to become one: with the view that it knows. */
#define may_join(node) (life[node] && !am_member(node) && !has(join[node], view[node]))

/* finish_epoch(): the host seals its next epoch, with the client's request or without. It may have been sealed before, by
   an earlier host; this host seals it once. */
#define sealed_here(node, epoch) (has_injection(LOG(node, epoch)) && sealed_since(LOG(node, epoch)) == since[view[node]])
#if EPOCHS == 1
#define request_waits(node) 0   /* one epoch tells nothing of an injection that its content does not tell */
#elif EPOCHS == 2
#define request_waits(node) (!sealed_here(node, 0))
#else
#define request_waits(node) (!sealed_here(node, 0) && !sealed_here(node, 1))
#endif
/* Epoch 2 runs only when another node holds epoch 0. */
#if EPOCHS < 3
#define may_run(node) 1
#else
#define may_run(node) (length(node) < 2 || used[length(node) - 2] == LOG(node, length(node) - 2))
#endif
inline seal_next(node) {
  e = length(node);
  LOG(node, e) = 2 * since[view[node]];
  if
  :: 1
  :: request_waits(node) -> LOG(node, e) = LOG(node, e) + 1
  fi;
  SEAL(since[view[node]], e) = LOG(node, e);
  sent_in[since[view[node]]] = view[node];
#ifdef PLANT_ACKNOWLEDGED_AT_ONCE
  use(node, e);
#endif
  say(node);
  e = 0
}

/* Two nodes count as holding epoch e of `node`. */
inline use(node, epoch) {
  /* Never two hosts whose results are both used. */
  assert(used[epoch] == 0 || used[epoch] == LOG(node, epoch));
  used[epoch] = LOG(node, epoch)
}

/* on_packet() and another_holds(). */
#ifdef PLANT_OLD_HOST_ACCEPTED
#define from_host(node, number) 1
#define PLANT_VIEW_OF_PACKET_IGNORED   /* either check alone would do here */
#else
#define from_host(node, number) (host[number] == host[view[node]])
#endif
#ifdef PLANT_VIEW_OF_PACKET_IGNORED
#define from_then(node, number) 1
#else
#define from_then(node, number) (sent_in[number] >= since[view[node]])
#endif
#define may_take(node, number) (am_member(node) && has(holders[view[node]], node) && !am_host(node) && \
    length(node) < EPOCHS && host[number] != node && SEAL(number, length(node)) && from_host(node, number) && from_then(node, number))
#define TAKE(number) \
  :: atomic { may_take(self, number) -> e = length(self); LOG(self, e) = SEAL(number, e); e = 0; say(self) }

#ifdef PLANT_WORD_OF_LATER_VIEW
#define not_later(node, number) 1
#else
#define not_later(node, number) ((number) <= view[node])
#endif
#define not_earlier(node, number) ((number) >= since[view[node]])
inline acknowledge(node, from) {
  d_step {
    number = 1;
    e = 0;
    do
    :: number <= VIEWS ->
#ifndef PLANT_WORD_BEFORE_ADMISSION
      if
      :: number <= view[node] && has(admitted[number], from) -> e = 0   /* what it said before is of an earlier membership */
      :: else
      fi;
#endif
      if
      :: not_later(node, number) && not_earlier(node, number) && TOLD(from, number) > e -> e = TOLD(from, number)
      :: else
      fi;
      number++
    :: else -> break
    od;
    if
    :: e > length(node) -> e = length(node)
    :: else
    fi;
    k = 0;
    do
    :: k < e ->
      /* Nobody is taken at his word for something else than what he holds. */
      assert(life[from] != 1 || LOG(from, k) == LOG(node, k) || (LOG(from, k) == 0 && view[from] != view[node]));
#ifndef ANY_FAILURES
      use(node, k);
#endif
      k++
    :: else -> break
    od;
#ifdef PLANT_NO_CLIENT_TABLE
    /* Nothing is applied twice: the table of clients in the torus's state keeps the first of two, without it both count. */
    assert(has_injection(used[0]) + has_injection(used[1]) < 2);
#endif
    k = 0;
    e = 0;
    number = 0
  }
}

/* A Gather and its answer: on_gather() and on_gather_done(). The logs are merged when all have answered. */
#ifdef PLANT_GATHER_IN_ANY_VIEW
#define answers_in(node, from) 1
#else
#define answers_in(node, from) (view[from] == view[node])
#endif
inline gather(node, from) {
  d_step {
    gathered_from[node] = gathered_from[node] | bit_of(from);
    e = 0;
    do
    :: e < EPOCHS ->
      if
      :: GATHERED(node, e) == 0 -> GATHERED(node, e) = LOG(from, e)
      :: else
      fi;
      e++
    :: else -> break
    od;
    e = 0
  }
}
#ifdef PLANT_GATHER_FROM_HOLDERS
#define asked(node) ((holders[view[node]] | bit_of(host[since[view[node]] - 1])) & members[view[node]] & ~bit_of(node))
#else
#define asked(node) (members[view[node]] & ~bit_of(node))
#endif
#ifdef PLANT_GATHER_FROM_ONE
#define all_answered(node) (gathered_from[node] != 0)
#else
#define all_answered(node) ((asked(node) & ~gathered_from[node]) == 0)
#endif
inline become_official(node) {
  d_step {
    official[node] = 1;
    e = 0;
    do
    :: e < EPOCHS ->
#ifndef PLANT_GATHERED_FORGOTTEN
      if
      :: LOG(node, e) == 0 -> LOG(node, e) = GATHERED(node, e)
      :: else
      fi;
#endif
#ifndef ANY_FAILURES
      /* No acknowledged injection is lost: a new host has every content that was ever used. (Who becomes it in a view that
         has passed will not be acknowledged by anybody; use() sees to that.) */
      assert(view[node] < newest || used[e] == 0 || used[e] == LOG(node, e));
#endif
      SEAL(since[view[node]], e) = LOG(node, e);
      e++
    :: else -> break
    od;
    e = 0;
    sent_in[since[view[node]]] = view[node];
    forget_gather(node);
    say(node)
  }
}

inline crash(node) {
  d_step {
    crashes++;
    wounded = 1;
    life[node] = 0;
    official[node] = 0;
    join[node] = 0;
    forget_gather(node);
    do
    :: e < EPOCHS -> LOG(node, e) = 0; e++
    :: else -> break
    od;
    e = 0
  }
}

#define PEER(peer) \
  :: atomic { (peer) != self && official[self] && has(holders[view[self]], peer) && length(self) -> acknowledge(self, peer) } \
  :: atomic { (peer) != self && am_host(self) && !official[self] && has(asked(self), peer) && !has(gathered_from[self], peer) && \
       life[peer] == 1 && answers_in(self, peer) -> gather(self, peer) }

/* accept_injection(): the client asks again, and the state already has its request, from the seal of an earlier host. */
#ifdef PLANT_REPEAT_ANSWERED_AT_ONCE
#define may_answer(node, epoch) 1
#else
#define may_answer(node, epoch) (used[epoch] == LOG(node, epoch))
#endif
#define ANSWER_REPEAT(epoch) \
  :: atomic { official[self] && has_injection(LOG(self, epoch)) && !sealed_here(self, epoch) && may_answer(self, epoch) -> \
       assert(used[epoch] == LOG(self, epoch)) }

proctype node(byte self) {
  byte k, e, number, mask, hold;
  bit yes;
end:
  do
  :: atomic { life[self] && view[self] == newest && newest < VIEWS -> decide(self) }
  :: atomic { life[self] && view[self] < newest -> 
       number = view[self] + 1;
       do
       :: number < newest -> number++
       :: break
       od;
       install(self, number);
       number = 0 }
  :: atomic { may_join(self) -> join[self] = join[self] | bit_of(view[self]) }
  :: atomic { official[self] && length(self) < EPOCHS && may_run(self) -> seal_next(self) }
  TAKE(1)
  TAKE(2)
#if VIEWS > 2
  TAKE(3)
#endif
#if VIEWS > 3
  TAKE(4)
#endif
  PEER(0)
  PEER(1)
  PEER(2)
#if NODES == 4
  PEER(3)
#endif
#if EPOCHS > 1
  ANSWER_REPEAT(0)
  ANSWER_REPEAT(1)
#endif
  :: atomic { am_host(self) && !official[self] && all_answered(self) -> become_official(self) }
  :: atomic { life[self] == 1 && crashes < CRASHES && may_fail -> crash(self) }
  :: atomic { life[self] == 0 -> life[self] = 3 }
  :: atomic { wounded && healthy -> wounded = 0 }
  od
}

init {
  atomic {
    byte i = 0;
    host[1] = 0;
    since[1] = 1;
    members[1] = ALL;
    holders[1] = ALL;
    admitted[1] = ALL;
    sent_in[1] = 1;
    official[0] = 1;
    do
    :: i < NODES ->
      view[i] = 1;
      life[i] = 1;
      run node(i);
      i++
    :: else -> break
    od;
    i = 0
  }
}
