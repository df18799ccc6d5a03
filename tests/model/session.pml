/* A client's session with ingest: hello, send, ack, busy, gap, fenced, over connections that are cut
 * and with both ends killed. README.md has the invariants (M1, M5 to M9).
 *
 * Two clients of one name. The second is the first one's successor: it begins when the first has
 * been killed, while frames of the first may still be in the pipe. Send number n of the successor
 * is not the same bytes as the predecessor's send n: it may have cut its records differently. So
 * what an acknowledgement is about is whose send n is in the journal.
 *
 * With TWO_AT_ONCE the second begins whenever it likes, so that both live. A limit: with STALE_HELLO
 * the first one's very first hello may be among the frames that are still in the pipe. */

#ifndef SENDS
#define SENDS 3 /* numbers 1 to SENDS are to be acknowledged */
#endif
#ifndef CRASHES
#define CRASHES 2 /* kills of ingest */
#endif
#ifndef CUTS
#define CUTS 2 /* of connections */
#endif
#ifndef FAILS
#define FAILS 1 /* transactions that the disk refuses */
#endif
#ifndef EARLY
#define EARLY 0 /* hellos that are said again although the answer may yet come */
#endif
#ifndef KILLS
#define KILLS 1 /* of the first client; 0: it lives, and has no successor */
#endif
#if defined(TWO_AT_ONCE)
#define MAY_BEGIN true
#elif defined(STALE_HELLO)
#define MAY_BEGIN killed[0]
#else
#define FIRST_HELLO 2 /* of the first client: AS(1, 0), but only a number can be looked for */
#define MAY_BEGIN   (killed[0] && !(up[0]??[HELLO, 0, FIRST_HELLO]))
#endif

/* Who says hello, beside the session: a number of its own, and whether this is a first hello said
 * again. Client c's first number is c + 1, its next ones two more each. */
#define AS(instance, again) ((instance) * 2 + (again))

/* Mutants; those that are no more than a line are at its place. */
#ifdef HELLO_TELLS_NOTHING
#define SESSION_TOLD 0
#else
#define SESSION_TOLD session
#endif
#ifdef AGAIN_NOT_TOLD
#define AGAIN_TOLD 0
#else
#define AGAIN_TOLD said
#endif
#ifdef ANY_NUMBER_BELIEVED
#define MINE(number) true
#else
#define MINE(number) (number == instance)
#endif
#ifdef WELCOME_TELLS_NOTHING
#define HELD_TOLD 0
#else
#define HELD_TOLD synced.held
#endif
#ifdef GAP_TELLS_NOTHING
#define GAP_TOLD 0
#else
#define GAP_TOLD open.held
#endif
#ifdef WELCOME_ANYHOW
#define MAY_WELCOME(good) true
#else
#define MAY_WELCOME(good) good
#endif
#ifdef STOPS_EARLY /* which client */
#define LAST(c) (c == STOPS_EARLY -> 1 : SENDS)
#else
#define LAST(c) SENDS
#endif

#define WINDOW 2 /* sends without an answer */
#ifndef ROOM
#define ROOM 4 /* of channels */
#endif
#define CLIENTS 2

mtype = { HELLO, SEND, WELCOME, ACK, BUSY, GAP, FENCED, SAY_HELLO };

chan up[CLIENTS] = [ROOM] of { mtype, byte, byte };   /* session, seq or who says hello */
chan down[CLIENTS] = [ROOM] of { mtype, byte, byte }; /* seq, held or a hello's number, session */
chan waiting = [ROOM] of { mtype, byte, byte, byte }; /* answers for the end of the transaction:
                                                         type, client, number, session */

/* The journal: what is synced, and what the open transaction has made of it. taken[n] is whose send
 * n is in it, client + 1. */
typedef journal { byte held; byte given; byte by; byte taken[SENDS + 1] };
journal synced;
journal open;
bool is_open;

/* Ingest's memory of its connections: the session that each speaks in. */
byte session_of[CLIENTS];
bool fenced[CLIENTS];

byte crashes, cuts, fails, early;
byte unanswered[CLIENTS]; /* lowest send that the client has no answer for */
bool mortal;              /* the first client may be killed: chosen once, see `judge` */
bool killed[CLIENTS], gave_up[CLIENTS], begun;

/* What nobody knows, for assertions: the last session that each client was welcomed with. */
byte welcomed[CLIENTS];

inline copy(to, from)
{
    to.held = from.held;
    to.given = from.given;
    to.by = from.by;
    n_ = 1;
    do
    :: n_ <= SENDS -> to.taken[n_] = from.taken[n_]; n_++
    :: else -> break
    od;
    n_ = 0
}

inline enter()
{
    if
    :: !is_open -> copy(open, synced); is_open = true
    :: else
    fi
}

/* What an answer says, once it may be said. One that finds no room is lost. In the code there is
 * room for some hundred, so no welcome is lost without its connection: EARLY takes more ROOM. */
inline say(client, type, number, session)
{
    if
    :: full(down[client])
    :: nfull(down[client]) -> down[client]!type, number, session
    fi
}

inline later(type, client, number, session)
{
#ifdef ANSWER_BEFORE_SYNC
    if
    :: type == WELCOME -> waiting!type, client, number, session
    :: else -> say(client, type, number, session)
    fi
#else
    waiting!type, client, number, session
#endif
}

inline take_hello(c, instance)
{
    enter();
#ifdef SAME_SESSION
    open.given = 1;
#else
    open.given++;
#endif
#ifdef NAME_NOT_KEPT
    open.by = 255;
#else
    open.by = instance;
#endif
    later(WELCOME, c, 0, open.given)
}

inline take_send(c, session, seq)
{
    if
    :: session_of[c] == 0 -> say(c, SAY_HELLO, 0, 0)
#ifndef NO_FENCE
    :: session_of[c] != 0 && (fenced[c] || session != session_of[c]) ->
        later(FENCED, c, 0, session)
    :: session_of[c] != 0 && !fenced[c] && session == session_of[c] ->
#else
    :: session_of[c] != 0 ->
#endif
        enter();
        if
#if defined(TAKE_ANY_HIGHER)
        :: seq <= open.held -> later(ACK, c, seq, 0)
        :: seq > open.held ->
#elif defined(TAKE_AGAIN)
        :: seq <= open.held + 1 ->
#else
        :: seq <= open.held -> later(ACK, c, seq, 0) /* the kept answer */
        :: seq == open.held + 1 ->
#endif
            assert(session == welcomed[c] && session > welcomed[1 - c]); /* M5: the last one */
            assert(open.taken[seq] == 0);                                /* M6: once */
            open.held = seq;
            open.taken[seq] = c + 1;
            later(ACK, c, seq, 0)
#ifndef TAKE_ANY_HIGHER
        :: seq > open.held + 1 -> later(GAP, c, GAP_TOLD, 0)
#endif
        fi
    fi
}

/* Ends the transaction: with it on disk, its answers go out; else they are busy. */
inline settle(good)
{
    if
    :: good && is_open ->
        copy(synced, open)
    :: else
    fi;
    copy(open, nothing);
    is_open = false;
    do
    :: waiting?type_, c_, number_, session_ ->
        if
        :: !good && (type_ == ACK || type_ == GAP) -> say(c_, BUSY, number_ + (type_ == GAP), 0)
        :: !good && type_ == WELCOME && !MAY_WELCOME(good) -> say(c_, BUSY, 0, 0)
        :: !good && type_ == FENCED && number_ != 0 -> say(c_, BUSY, 0, 0)
        :: MAY_WELCOME(good) && type_ == WELCOME ->
            /* Binds it: whoever spoke for the name is fenced. */
            other_ = 1 - c_;
            assert(session_ > welcomed[c_] && session_ > welcomed[other_]); /* M5: they only grow */
            welcomed[c_] = session_;
            if
            :: session_of[other_] != 0 -> fenced[other_] = true
            :: else
            fi;
            session_of[c_] = session_;
            fenced[c_] = false;
            say(c_, WELCOME, HELD_TOLD, session_)
        :: (good && type_ != WELCOME) || (type_ == FENCED && number_ == 0) ->
            say(c_, type_, number_, session_)
        fi
    :: empty(waiting) -> break
    od;
    type_ = 0; c_ = 0; number_ = 0; session_ = 0; other_ = 0
}

/* Frames that were on their way: those at the front may be gone. */
inline lose_front(channel, type)
{
    do
    :: channel?type, _, _
    :: break
    od
}

inline lose_all(channel, type)
{
    do
    :: channel?type, _, _
    :: empty(channel) -> break
    od
}

inline forget_answers_to(client)
{
    /* The rest keeps its order: each is taken off and put back once. */
    n_ = len(waiting);
    do
    :: n_ > 0 ->
        waiting?type_, c_, number_, session_;
        if
        :: c_ != client -> waiting!type_, c_, number_, session_
        :: else
        fi;
        n_--
    :: else -> break
    od;
    type_ = 0; c_ = 0; number_ = 0; session_ = 0
}

active proctype ingest()
{
    journal nothing; /* all zeros */
    mtype type_ = 0;
    byte n_, c_, number_, session_, other_, seq_;
end:
    do
    :: atomic {
        nfull(waiting) && (nempty(up[0]) || nempty(up[1])) ->
        if
        :: up[0]?type_, session_, seq_ -> c_ = 0
        :: up[1]?type_, session_, seq_ -> c_ = 1
        fi;
        if
        :: type_ == HELLO ->
            /* M9: of a client that was in before, or may have been, when another one of the name has
             * come since; its session is the smaller one then, as no journal is restored here. The
             * number tells it from a send's: that one may only have come in this transaction. */
            other_ = (is_open -> open.by : synced.by);
            if
            :: (session_ != 0 || seq_ % 2 == 1) && other_ != 0 && other_ != seq_ / 2 ->
                later(FENCED, c_, seq_ / 2, session_)
            :: else -> take_hello(c_, seq_ / 2)
            fi;
            other_ = 0
        :: type_ == SEND -> take_send(c_, session_, seq_)
        fi;
        type_ = 0; session_ = 0; seq_ = 0; c_ = 0
    }
    :: atomic { nempty(waiting) || is_open -> settle(true) }
    :: atomic { is_open && fails < FAILS -> fails++; settle(false) }
    :: atomic { /* killed: memory is gone, and so are the connections */
        crashes < CRASHES ->
        crashes++;
        copy(open, nothing);
        is_open = false;
        do
        :: waiting?type_, _, _, _
        :: empty(waiting) -> break
        od;
        lose_front(up[0], type_);
        lose_front(up[1], type_);
        type_ = 0;
        session_of[0] = 0; session_of[1] = 0;
        fenced[0] = false; fenced[1] = false
    }
    :: atomic { /* a connection is cut; the client's socket makes another one and does not tell */
        cuts < CUTS ->
        cuts++;
        if
        :: other_ = 0
        :: other_ = 1
        fi;
        lose_front(up[other_], type_);
        lose_all(down[other_], type_);
        type_ = 0;
        forget_answers_to(other_);
        session_of[other_] = 0;
        fenced[other_] = false;
        other_ = 0
    }
    od
}

proctype client(byte c)
{
    byte session, next, highest, number, other, instance = c + 1;
    bool in, met, due = true;
    bool said; /* the first hello of this number */
    bool answered[SENDS + 2];
end:
    do
    :: atomic {
        due && nfull(up[c]) ->
        up[c]!HELLO, SESSION_TOLD, AS(instance, AGAIN_TOLD);
        said = !met;
        due = false;
        in = false
    }
    :: atomic {
        in && next <= LAST(c) && next < unanswered[c] + WINDOW && nfull(up[c]) ->
        if
        :: !answered[next] -> up[c]!SEND, session, next
        :: else
        fi;
        if
        :: next > highest -> highest = next
        :: else
        fi;
        next++
    }
    :: atomic {
        down[c]?WELCOME, number, other ->
        /* M9: not if the other one has been welcomed between this one's last welcome and this. */
        assert(!(met && welcomed[1 - c] > session && welcomed[1 - c] < other));
        if
        :: !met -> unanswered[c] = number + 1; highest = number; met = true; said = false
        :: met && number > highest -> /* somebody else uses the name: stop */
            gave_up[c] = true;
            goto gone
        :: met && number <= highest -> assert(number + 1 >= unanswered[c]) /* M7 */
        fi;
        next = unanswered[c];
        session = other;
        in = true;
        number = 0; other = 0
    }
    :: atomic {
        down[c]?ACK, number, _ ->
        if
        :: number >= unanswered[c] && number <= highest && !answered[number] ->
            assert(number <= synced.held);         /* M1: told means on disk */
            assert(synced.taken[number] == c + 1); /* M6: and it is this send */
            answered[number] = true;
            do
            :: answered[unanswered[c]] -> unanswered[c]++
            :: else -> break
            od;
            if
            :: next < unanswered[c] -> next = unanswered[c]
            :: else
            fi
        :: else
        fi;
        number = 0
    }
    :: atomic {
        down[c]?BUSY, number, _ ->
        if
        :: number == 0 -> due = true
        :: number >= unanswered[c] && number < next -> next = number
        :: else
        fi;
        number = 0
    }
    :: atomic {
        down[c]?GAP, number, _ ->
        assert(!in || number + 1 >= unanswered[c]); /* M7: nor does a gap tell less */
        if
        :: in && number + 1 < next -> next = number + 1
        :: else
        fi;
        number = 0
    }
#ifdef NEVER_HELLO_AGAIN
    :: atomic { down[c]?SAY_HELLO, _, _ -> next = unanswered[c] }
#else
    :: atomic { down[c]?SAY_HELLO, _, _ -> due = due || in; in = false }
#endif
    :: atomic {
        down[c]?FENCED, other, number ->
        if
#ifdef FENCED_IS_FENCED
        :: true -> gave_up[c] = true; goto gone
#else
        :: other != 0 && number != 0 && number == session -> gave_up[c] = true; goto gone
        :: number == 0 && MINE(other) && met -> gave_up[c] = true; goto gone
        /* A send's: whose the name is, only the answer to a hello tells. */
        :: other == 0 && number == session -> due = due || in; in = false
#endif
        /* It never was in, as far as it knows: a new one of the name. */
        :: number == 0 && MINE(other) && !met ->
            instance = instance + 2;
            said = false;
            due = true
        :: else
        fi;
        number = 0; other = 0
    }
#ifndef NO_TIMER
    :: atomic { /* nothing is heard although something should be */
        !due && empty(up[c]) && empty(down[c]) && empty(waiting) && !is_open &&
            (!in || unanswered[c] < next) ->
        due = true;
        in = false
    }
#endif
    :: atomic { /* the same, too early: the answer may be on its way */
        early < EARLY && !due && (!in || unanswered[c] < next) ->
        early++;
        due = true;
        in = false
    }
    :: atomic { /* killed; its frames stay in the pipe */
        c == 0 && mortal ->
        killed[0] = true;
        goto gone
    }
    od;
gone:
    skip
}

/* Everything has come to rest: who is alive has got through (M8).
 *
 * Whether the first client may be killed is chosen before it begins. If it could be killed at any
 * time, `timeout` would wait for that, and at rest it would never be alive. */
active proctype judge()
{
    atomic {
#ifdef KNOWN_NAME /* somebody had it before these two */
        synced.by = 255;
#endif
        if
        :: KILLS > 0 -> mortal = true
        :: true
        fi;
        run client(0)
    };
    do
    :: atomic { !begun && MAY_BEGIN -> run client(1); begun = true }
    :: timeout -> break
    od;
#ifdef TWO_AT_ONCE
    assert(!gave_up[0] || !gave_up[1]);
#else
    assert(!gave_up[0]);
    assert(!gave_up[1]);
#endif
    assert(killed[0] || gave_up[0] || unanswered[0] == SENDS + 1);
    assert(!begun || gave_up[1] || unanswered[1] == SENDS + 1)
}
