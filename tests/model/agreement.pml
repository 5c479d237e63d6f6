/* Agreement on views: single-decree Paxos for each view number among the voters of the view before, with crashes,
   restarts from what is on disk, and messages that are lost, doubled and reordered. The abstraction, the bounds and the
   results are in model.md; the code is torus/braid/view_agreement.cc and braid_agreement.cc.

   The network is the set of messages ever sent: none leaves it, so that a message may arrive never, late, or again. */

#define NODES 3
#ifndef ROUNDS
#define ROUNDS 2      /* ballots of each proposer for each number */
#endif
#ifndef CRASHES
#define CRASHES 1     /* of all nodes together */
#endif
#ifndef PROPOSERS
#define PROPOSERS 2   /* voters that propose; all of them vote */
#endif
#ifndef FIRST
#define FIRST 2       /* the view that all know at the beginning */
#endif
#define BALLOTS (ROUNDS * NODES)

/* Views are numbered 1, 2, 3. Number 1 is the founder's, in which node 0 is the only voter. A value is what a view says that
   matters here: 1 = node 0 votes, 2 = all three vote. The value of number 2 therefore decides who votes on number 3. */
#define LAST 3
#define NUMBERS 2                      /* that are decided: 2 and 3 */
#define INDEX(number) ((number) - 2)

/* --- What was sent, for each number. --- */
#define CODE(b, v) (2 * (b) + (v) - 2)   /* ballot b with value v, from 1 */
#define BALLOT_OF(code) (((code) + 1) / 2)
#define VALUE_OF(code) (((code) + 1) % 2 + 1)
#define SENT(number, ballot, node) ((INDEX(number) * BALLOTS + (ballot) - 1) * NODES + (node))
short prepared[NUMBERS];                         /* bit b: Prepare(ballot b) */
short promised_with[NUMBERS * BALLOTS * NODES];  /* bit 0: nothing accepted; bit CODE(b, v): that was accepted */
short accept_sent[NUMBERS];                      /* bit CODE(b, v): Accept(ballot b, value v) */
bit accepted_sent[NUMBERS * BALLOTS * NODES];    /* Accepted(ballot): the message does not name the value */
byte chosen[NUMBERS];                            /* Decided: 0 = not yet, else the value */

/* --- A node. Its record is what persist_vote() writes: the view it knows and its vote on the next number. --- */
typedef Record {
  byte number;           /* of the view it knows */
  byte value;            /* of that view */
  byte promised;
  byte accepted;         /* CODE() of ballot and value, 0: nothing */
};
Record memory[NODES];
Record disk[NODES];      /* all 0 once nobody can crash any more: it is not read again */

/* The proposer of each node, in memory only. */
bit accepting[NODES];    /* a majority has promised */
byte ballot[NODES];      /* 0: no proposal */
byte proposal[NODES];
byte crashes = 0;

#define bit_of(node) (1 << (node))
#define deciding(node) (memory[node].number + 1)
#ifdef PLANT_VOTERS_IGNORED   /* anyone's vote counts, whatever the view before says */
#define voter(by, node) 1
#else
#define voter(by, node) (memory[by].value == 2 || (node) == 0)
#endif
#define may_vote(node) voter(node, node)
#define round_of(b) (((b) + NODES - 1) / NODES)
#ifdef PLANT_BALLOTS_SHARED   /* two proposers use the same ballot */
#define ballot_in(round, node) (((round) - 1) * NODES + 1)
#else
#define ballot_in(round, node) (((round) - 1) * NODES + (node) + 1)
#endif

/* What a reply waits for. The code sends when the record is on disk; a crash before that is a message that never arrived. */
inline persist(node) {
  if
#ifndef PLANT_VOTE_NOT_PERSISTED
  :: crashes < CRASHES ->
    disk[node].number = memory[node].number;
    disk[node].value = memory[node].value;
    disk[node].promised = memory[node].promised;
    disk[node].accepted = memory[node].accepted
#endif
  :: else
  fi
}

inline erase(record) {
  record.number = 0;
  record.value = 0;
  record.promised = 0;
  record.accepted = 0
}

inline abandon(node) {
  accepting[node] = 0;
  ballot[node] = 0;
  proposal[node] = 0
}

/* install(): the vote on the number before is forgotten. On disk it is replaced now or later: persist_vote(nullptr). */
inline install(node, new_number, new_value) {
  memory[node].value = new_value;
  memory[node].number = new_number;
  memory[node].promised = 0;
  memory[node].accepted = 0;
  abandon(node);
  if
  :: crashes < CRASHES -> persist(node)
  :: 1
  fi
}

/* propose(): whenever a timer says so, any value, any ballot above its promise and its last one. What else the code has seen
   only leaves it fewer ballots to choose from. */
inline propose(node, round) {
  accepting[node] = 0;
  ballot[node] = ballot_in(round, node);
  if
  :: proposal[node] = 1
  :: !(deciding(node) == LAST && prepared[INDEX(LAST)] == 0) -> proposal[node] = 2   /* of the last number's values, 1 is the first */
  fi;
  prepared[INDEX(deciding(node))] = prepared[INDEX(deciding(node))] | bit_of(ballot[node])
}

#ifdef PLANT_PROMISE_WITHOUT_CHECK
#define may_promise(node, b) 1
#else
#define may_promise(node, b) ((b) >= memory[node].promised)
#endif
inline on_prepare(node, b) {
  if
  :: may_promise(node, b) ->
    memory[node].promised = b;
    persist(node);
    promised_with[SENT(deciding(node), b, node)] = promised_with[SENT(deciding(node), b, node)] | bit_of(memory[node].accepted)
  :: else
  fi
}

#ifdef PLANT_ACCEPT_WITHOUT_CHECK
#define may_accept(node, b) 1
#else
#define may_accept(node, b) ((b) >= memory[node].promised)
#endif
inline on_accept(node, code) {
  if
  :: may_accept(node, BALLOT_OF(code)) ->
    memory[node].promised = BALLOT_OF(code);
    memory[node].accepted = code;
    persist(node);
    accepted_sent[SENT(deciding(node), BALLOT_OF(code), node)] = 1
  :: else
  fi
}

/* Chooses one bit of a mask that is not 0, any of them. */
inline any_bit(which, mask) {
  which = 0;
  do
  :: (mask >> which) & 1 -> break
  :: (mask >> (which + 1)) != 0 -> which++
  od
}

/* A promise arrives: the value of the highest ballot that it or an earlier one names replaces the own one. */
inline adopt(node, from) {
  any_bit(code, promised_with[SENT(deciding(node), ballot[node], from)]);
  if
  :: code > 0 && (highest == 0 || BALLOT_OF(code) > BALLOT_OF(highest)) -> highest = code
  :: else
  fi
}

/* The last promise of a majority, `one` and `two` (the same where one vote suffices), has arrived: Accept goes out. */
inline send_accept(node, one, two) {
  highest = 0;
  adopt(node, one);
  adopt(node, two);
  if
#ifdef PLANT_ACCEPTED_VALUE_IGNORED
  :: 0
#else
  :: highest > 0 -> proposal[node] = VALUE_OF(highest)
#endif
  :: else
  fi;
  accepting[node] = 1;
  accept_sent[INDEX(deciding(node))] = accept_sent[INDEX(deciding(node))] | bit_of(CODE(ballot[node], proposal[node]));
  highest = 0;
  code = 0
}

inline decide(node) {
  /* One decision per view number. */
  assert(chosen[INDEX(deciding(node))] == 0 || chosen[INDEX(deciding(node))] == proposal[node]);
  chosen[INDEX(deciding(node))] = proposal[node];
  /* Whoever installs the last number votes no more; here all stay as if they had not heard yet, which allows them more. */
  if
  :: deciding(node) < LAST -> install(node, deciding(node), proposal[node])
  :: else
  fi
}

inline crash_and_restart(node) {
  crashes++;
  memory[node].number = disk[node].number;
  memory[node].value = disk[node].value;
  memory[node].promised = disk[node].promised;
  memory[node].accepted = disk[node].accepted;
  abandon(node);
  if
  :: crashes == CRASHES -> erase(disk[0]); erase(disk[1]); erase(disk[2])
  :: else
  fi
}

/* Majorities: any two of three voters, or the only one. */
#define alone(node) (memory[node].value != 2)
#ifdef PLANT_MINORITY
#define enough(node, one, two) ((one) == (two))
#else
#ifdef PLANT_VOTERS_IGNORED
#define enough(node, one, two) (alone(node) == ((one) == (two)))
#else
#define enough(node, one, two) (alone(node) -> (one) == 0 && (two) == 0 : (one) != (two))
#endif
#endif
#ifdef PLANT_BALLOT_REUSED   /* Accept leaves before the own promise is on disk: the next life uses the ballot again */
#define own_among(node, one, two) 1
#else
#define own_among(node, one, two) ((node) == (one) || (node) == (two))
#endif
#define promised_by(node, from) (promised_with[SENT(deciding(node), ballot[node], from)] != 0)
#define accepted_by(node, from) accepted_sent[SENT(deciding(node), ballot[node], from)]
#define ON_MAJORITY(one, two) \
  :: atomic { ballot[self] && !accepting[self] && enough(self, one, two) && own_among(self, one, two) && \
       promised_by(self, one) && promised_by(self, two) -> send_accept(self, one, two) } \
  :: atomic { accepting[self] && enough(self, one, two) && accepted_by(self, one) && accepted_by(self, two) -> \
       decide(self) }

proctype node(byte self) {
  byte code, highest;
end:
  do
  :: atomic { may_vote(self) && self < PROPOSERS && memory[self].promised < ballot_in(1, self) && ballot[self] == 0 ->
       propose(self, 1) }
#if ROUNDS > 1
  :: atomic { may_vote(self) && self < PROPOSERS && memory[self].promised < ballot_in(2, self) &&
       ballot[self] < ballot_in(2, self) -> propose(self, 2) }
#endif
  :: atomic { may_vote(self) && prepared[INDEX(deciding(self))] ->
       any_bit(code, prepared[INDEX(deciding(self))]);
       on_prepare(self, code);
       code = 0 }
  :: atomic { may_vote(self) && accept_sent[INDEX(deciding(self))] ->
       any_bit(code, accept_sent[INDEX(deciding(self))]);
       on_accept(self, code);
       code = 0 }
  ON_MAJORITY(0, 1)
  ON_MAJORITY(0, 2)
  ON_MAJORITY(1, 2)
  ON_MAJORITY(0, 0)
#if defined(PLANT_MINORITY) || defined(PLANT_VOTERS_IGNORED)
  ON_MAJORITY(1, 1)
#endif
  /* Decided arrives. */
  :: atomic { memory[self].number < 2 && chosen[INDEX(2)] -> install(self, 2, chosen[INDEX(2)]) }
  :: atomic { crashes < CRASHES -> crash_and_restart(self) }
  od
}

init {
  atomic {
    byte i = 0;
    do
    :: i < NODES ->
      memory[i].number = FIRST;
      memory[i].value = FIRST;
      disk[i].number = FIRST;
      disk[i].value = FIRST;
      run node(i);
      i++
    :: else -> break
    od;
    i = 0
  }
}
