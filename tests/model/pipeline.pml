/* From the journal to the store and back: dispatch, stages that lose and delay, persist, what it
 * acknowledges, and the journal that only then lets go. README.md has the invariants (M1 to M4).
 *
 * Three sends are accepted. 1 and 2 bring the same id, 2 after 1; 3 brings another one. Stages may
 * make a record fail: then it is a dead letter, and one dead letter is replayed, as send 4 with the
 * version that the record had. Whatever is sent is in the journal under a seq and has a version;
 * every copy on its way says which run of ingest dispatched it. The stages between ingest and
 * persist lose, delay, reorder and double, so they are one bag. An instance of persist that sets a
 * batch aside, or is told by the store to come again, is as one that was killed with it in hand. */

#ifndef SENDS
#define SENDS 3
#endif
#ifndef CRASHES
#define CRASHES 1 /* kills of ingest */
#endif
#ifndef FAULTS
#define FAULTS 2 /* of any other kind, all together */
#endif
#ifndef BAD
#define BAD 1 /* copies of which the record fails */
#endif

#define REPLAY   4
#define ALL      5 /* places of arrays: 1 to 4 */
#define RUNS     (CRASHES + 1)
#define PERSISTS 2

#define BIT(b)       (1 << (b))
#define HAS(bits, b) (((bits) & BIT(b)) != 0)
#define EACH(OPTION) :: OPTION(1) :: OPTION(2) :: OPTION(3) :: OPTION(4)

/* The journal: batches that it holds (bits), the last version and the last seq that were given. */
typedef journal { byte holds; byte last; byte seqs };
journal synced;
journal open;
bool is_open;

byte seq[ALL], version[ALL];
byte accepted; /* bits: the client was told */
byte lost;     /* bits: accepted, and not in the older journal that was put in place */

/* Ingest's memory: which run it is, and bits of what it has dispatched and what is in flight. */
byte this_run, dispatched, flying;
byte clock = 3, newest;

byte way[RUNS * ALL]; /* copies on their way, by run and batch */
byte acks[RUNS];      /* what was published, and is repeated: bits of seqs, by run */

/* The store: whose row is under each of the two ids (0: none), and which sends are dead letters. */
byte row[2];
byte letters;
byte done;     /* bits: committed, as the row, as one that is older than the row, or as a letter */
byte stored;   /* bits: of these as the row, or as one that is older */
byte replayed; /* the send whose dead letter was replayed; 0: none yet */

byte load[PERSISTS], load_run[PERSISTS]; /* what an instance has in hand; 0: nothing */
bool load_bad[PERSISTS], written[PERSISTS], told[PERSISTS];

byte faults, bad;
#ifdef RESTORE
journal backup;
byte has_backup; /* 1: taken, 2: put in place of the journal */
#endif

/* The order in which the client sent; a replay is as old as its record. */
#define ORDER(b) ((b) == REPLAY -> replayed : (b))
#define KEY(b)   (ORDER(b) == 3 -> 1 : 0)

/* Is what is stored of its id this very send? */
#define IS_ROW(b) (row[KEY(b)] != 0 && ORDER(row[KEY(b)]) == (b))

/* --- ingest --------------------------------------------------------------------------------- */

inline enter()
{
    if
    :: !is_open ->
        open.holds = synced.holds;
        open.last = synced.last;
        open.seqs = synced.seqs;
        is_open = true
    :: else
    fi
}

inline forget_open()
{
    open.holds = 0;
    open.last = 0;
    open.seqs = 0;
    is_open = false
}

inline append(b)
{
    enter();
    open.seqs++;
    seq[b] = open.seqs;
#ifdef STAMP_FROM_CLOCK
    open.last = clock;
#else
    open.last = (clock > open.last + 1 -> clock : open.last + 1);
#endif
    newest = (open.last > newest -> open.last : newest);
#ifdef REPLAY_WITH_NEW_VERSION
    version[b] = open.last;
#else
    version[b] = (b == REPLAY -> version[replayed] : open.last);
#endif
#ifdef ANSWER_BEFORE_SYNC
    accepted = accepted | BIT(b);
#endif
#ifdef SENT_ONCE
    sent = sent | BIT(b);
#endif
    open.holds = open.holds | BIT(b)
}

#ifdef SENT_ONCE
byte sent; /* bits */
#else
#define sent 0
#endif
#define TAKEN(b) HAS((is_open -> open.holds : synced.holds) | accepted | sent, b)

/* Where a copy that this run dispatched still is, or word of it. */
#define SOMEWHERE(b)                                                                               \
    (way[this_run * ALL + (b)] > 0 || (load[0] == (b) && load_run[0] == this_run) ||                         \
     (load[1] == (b) && load_run[1] == this_run) || HAS(acks[this_run], seq[b]))

#define SEND_NEXT(b)                                                                               \
    atomic { !TAKEN(b) && ((b) == 1 || TAKEN((b) - 1)) && (b) <= SENDS -> append(b) }

#define DISPATCH(b)                                                                                \
    atomic {                                                                                       \
        HAS(synced.holds & ~dispatched, b) ->                                                      \
        dispatched = dispatched | BIT(b);                                                          \
        flying = flying | BIT(b);                                                                  \
        way[this_run * ALL + (b)]++                                                                \
    }

/* Nothing of it is left anywhere: its timer, or the probe, finds that out. */
#define DISPATCH_LOST(b) atomic { HAS(flying, b) && !SOMEWHERE(b) -> way[this_run * ALL + (b)]++ }

#define DISPATCH_LATE(b)                                                                           \
    atomic { faults < FAULTS && HAS(flying, b) -> faults++; way[this_run * ALL + (b)]++ }

#ifdef ACKS_OF_ANY_RUN
#define HEARD(b) (HAS(acks[0], seq[b]) || HAS(acks[RUNS - 1], seq[b]))
#else
#define HEARD(b) HAS(acks[this_run], seq[b])
#endif
#define ACKED(b)                                                                                   \
    atomic {                                                                                       \
        HAS(flying, b) && HEARD(b) ->                                                              \
        enter();                                                                                   \
        open.holds = open.holds & ~BIT(b);                                                         \
        flying = flying & ~BIT(b)                                                                  \
    }

active proctype ingest()
{
end:
    do
    EACH(SEND_NEXT)
    :: atomic { replayed != 0 && !TAKEN(REPLAY) -> append(REPLAY) }
    :: atomic {
        is_open ->
        assert(((synced.holds & ~open.holds) & ~done) == 0); /* M2: only what is done leaves */
        synced.holds = open.holds;
        synced.last = open.last;
        synced.seqs = open.seqs;
        accepted = accepted | open.holds; /* M1: and only now is anybody told */
        forget_open()
    }
    EACH(DISPATCH)
#ifndef NEVER_AGAIN
    EACH(DISPATCH_LOST)
#endif
    EACH(DISPATCH_LATE)
    EACH(ACKED)
    od
}

/* --- persist -------------------------------------------------------------------------------- */

/* As old as what: of the row before and after, and of what is written. No part of the state. */
hidden byte before, after, mine;

/* One transaction of the store. */
inline write(b, fails)
{
    before = ORDER(row[KEY(b)]);
    mine = ORDER(b);
    if
    :: fails ->
        if
#ifndef LETTERS_RISE
        :: IS_ROW(ORDER(b)) -> skip /* another copy has stored it: this one says nothing */
#endif
#ifdef NO_LETTERS
        :: else
#else
        :: else -> letters = letters | BIT(ORDER(b))
#endif
        fi
    :: else ->
        if
#if defined(LAST_WINS)
        :: true ->
#elif defined(FIRST_WINS)
        :: row[KEY(b)] == 0 ->
#else
        :: row[KEY(b)] == 0 || version[b] > version[row[KEY(b)]] ->
#endif
            assert(mine >= before); /* M3: the row never goes back */
            row[KEY(b)] = b
#ifndef LAST_WINS
        :: else
#endif
        fi;
        after = ORDER(row[KEY(b)]);
        assert(after >= mine); /* M3: nor is it older than what was written */
        stored = stored | BIT(ORDER(b));
        if
#ifdef LETTERS_STAY
        :: b != REPLAY
#endif
        :: else -> letters = letters & ~BIT(ORDER(b)) /* whichever copy left it */
        fi
    fi;
    done = done | BIT(b)
}

inline put_down()
{
    load[p] = 0;
    load_run[p] = 0;
    load_bad[p] = false;
    written[p] = false;
    told[p] = false
}

/* Which of two idle ones takes it makes no difference. */
#define TAKE(b, r)                                                                                 \
    atomic {                                                                                       \
        load[p] == 0 && (p == 0 || load[0] != 0) && way[(r) * ALL + (b)] > 0 ->                    \
        way[(r) * ALL + (b)]--;                                                                    \
        load[p] = b;                                                                               \
        load_run[p] = r;                                                                           \
        if                                                                                         \
        :: bad < BAD -> bad++; load_bad[p] = true                                                  \
        :: true                                                                                    \
        fi                                                                                         \
    }
#define TAKE_0(b) TAKE(b, 0)
#define TAKE_1(b) TAKE(b, 1)
#define TAKE_2(b) TAKE(b, 2)

active [PERSISTS] proctype persist()
{
    byte p = _pid - 1;
end:
    do
    EACH(TAKE_0)
#if CRASHES > 0
    EACH(TAKE_1)
#endif
#if CRASHES > 1
    EACH(TAKE_2)
#endif
#ifdef ONLY_NEWS_ACKED
    :: atomic { load[p] != 0 && !written[p] && HAS(done, load[p]) -> put_down() }
    :: atomic {
        load[p] != 0 && !written[p] && !HAS(done, load[p]) ->
        write(load[p], load_bad[p]);
        written[p] = true
    }
#else
    :: atomic { load[p] != 0 && !written[p] -> write(load[p], load_bad[p]); written[p] = true }
#endif
    :: atomic { /* it is committed, but the connection is gone: it will be written again */
        load[p] != 0 && !written[p] && faults < FAULTS -> faults++; write(load[p], load_bad[p])
    }
#ifdef ACK_BEFORE_COMMIT
    :: atomic {
        load[p] != 0 && !told[p] ->
        acks[load_run[p]] = acks[load_run[p]] | BIT(seq[load[p]]);
        told[p] = true
    }
    :: atomic { told[p] && written[p] -> put_down() }
#else
    :: atomic {
        written[p] ->
        if
        :: acks[load_run[p]] = acks[load_run[p]] | BIT(seq[load[p]])
        :: faults < FAULTS -> faults++
        fi;
        put_down()
    }
#endif
    :: atomic { load[p] != 0 && faults < FAULTS -> faults++; put_down() }
    od
}

/* --- what happens to them ------------------------------------------------------------------- */

#define LOSE(b, r)                                                                                 \
    atomic { faults < FAULTS && way[(r) * ALL + (b)] > 0 -> faults++; way[(r) * ALL + (b)]-- }
#define LOSE_0(b) LOSE(b, 0)
#define LOSE_1(b) LOSE(b, 1)
#define LOSE_2(b) LOSE(b, 2)

/* An operator, sooner or later, once. */
#define REPLAY_LETTER(b)                                                                           \
    atomic { (b) <= SENDS && replayed == 0 && HAS(letters, b) -> replayed = b }

active proctype world()
{
end:
    do
    :: atomic { /* ingest is killed, and starts again from its journal */
        this_run < CRASHES ->
        forget_open();
        this_run++;
        dispatched = 0;
        flying = 0
#ifdef RESTORE
        ;
        if
        :: has_backup == 1 ->
            has_backup = 2;
            lost = accepted & ~backup.holds & ~done;
            synced.holds = backup.holds;
            synced.last = backup.last;
            synced.seqs = backup.seqs
#ifndef CLOCK_BEHIND
            ;
            clock = newest + 1 /* or versions that both journals gave would be alike */
#endif
        :: true
        fi
#endif
    }
#ifdef RESTORE
    :: atomic {
        has_backup == 0 ->
        has_backup = 1;
        backup.holds = synced.holds;
        backup.last = synced.last;
        backup.seqs = synced.seqs
    }
#endif
#if defined(RESTORE) && !defined(CLOCK_BEHIND)
#define MAY_GO_BACK (has_backup != 2)
#else
#define MAY_GO_BACK true
#endif
    :: atomic {
        faults < FAULTS ->
        faults++;
        if
        :: MAY_GO_BACK -> clock = 1
        :: clock = newest + 2
        fi
    }
    EACH(LOSE_0)
#if CRASHES > 0
    EACH(LOSE_1)
#endif
#if CRASHES > 1
    EACH(LOSE_2)
#endif
    EACH(REPLAY_LETTER)
    od
}

#define SENT (BIT(SENDS + 1) - 2)

/* Everything has come to rest: what was accepted, and that is every send, is in the store (M4), and
 * no row is a dead letter besides (M10). */
active proctype judge()
{
    timeout;
    assert(synced.holds == 0 && !is_open);
    assert((SENT & ~accepted) == 0);
    assert((accepted & ~done & ~lost) == 0);
    assert((SENT & ~(stored | letters | lost)) == 0);
#define NOT_BOTH(b) (!IS_ROW(b) || !HAS(letters, b))
    assert(NOT_BOTH(1) && NOT_BOTH(2) && NOT_BOTH(3))
#ifdef LETTER_OR_OLD_ROW
    ;
    assert((letters & stored) == 0)
#endif
}
