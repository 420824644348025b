/* The receiver's hot half: epoll, frames, and the tallies of what everybody gets.
 *
 * What arrives: descriptors of connected, non-blocking sockets. What leaves: counters, latencies in histogram buckets,
 * and a list of singles (receiver.py names the kinds). It knows four words by which a message that many viewers get
 * begins; what such a frame says it asks through `ask`, once per distinct frame, and remembers. It knows no Python:
 * plain C, loaded by native.py, which also holds the constants below against receiver.py's.
 *
 * A line is read edge-triggered: one recv per frame that comes alone. A short read means that the socket is empty, and
 * what comes later is a new edge. An edge that was used up without reading to the end (a line that is held at its
 * welcome, one that had too much) is asked for again by EPOLL_CTL_MOD.
 *
 * One thread. Every function that returns int answers 0, or a negative errno where memory or descriptors ran out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WELCOME, PAYLOAD, GAP, DUPLICATE, CAUGHT_UP, CLOSED, ERROR };
enum { STATE, TALK, LEVELS, RELAY, LANES };
enum { WRONG_FRAGMENT = 1, WRONG_RESERVED_BITS, WRONG_OPCODE, WRONG_MASKED, WRONG_CONTROL_SIZE, WRONG_FRAME_SIZE,
       WRONG_CUT_PONG };
enum { CONTINUED = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { CODE_NONE = 1005, CODE_BROKEN = 1006 };

/* In the order of receiver.COUNTERS. */
enum { FRAMES, BYTES_IN, BYTES_OUT, PINGS, STATE_FRAMES, STATE_EVENTS, STATE_RECEIVED, STATE_DUPLICATES, STATE_GAPS,
       TALK_FRAMES, TALK_LINES, LEVELS_FRAMES, COUNTERS };

#define FRAME_BYTES_MAX (16u << 20)
#define READ_BYTES 65536u
#define KNOWN_MAX 512u
#define KNOWN_BYTES_MAX (32u << 20)
#define SINGLES_BYTES_MAX (4u << 20)
#define CONTROL_BYTES_MAX 125u

#define READY_MAX 512          /* events fetched with one call */
#define READS_MAX 8            /* of one line in a row, so that one busy line does not starve the rest */
#define KNOWN_SLOTS 1024u      /* a power of two, at most half full */
#define REST_BYTES_MIN 4096u   /* room beyond half a frame, so that the next read is a short one */
#define WAKE_TAG UINT64_MAX

/* A server that writes to ten thousand lines in turn finds a reader who is faster than itself: each pump would read a
 * handful, and waking up would cost both sides more than reading. So while frames keep coming they may gather for a
 * moment. It adds at most LINGER_NS to a latency, which never flatters the server; the sum stays far below what counts
 * as a late send. */
#define LINGER_NS 200000
#define LINGERS_MAX 5
#define LINGER_FRAMES_MIN 4u

/* HDR buckets of three figures from 1 us to an hour: 2048 of 1 us, then 1024 for each doubling. */
#define LATENCY_US_MAX INT64_C(3600000000)
#define HALF_BITS 10
#define HALF (1 << HALF_BITS)
#define BUCKETS (23 * HALF)

typedef int (*ask_fn)(const uint8_t *payload, size_t size);

/* A shared frame and what it says. */
struct known {
    uint64_t hash;
    uint8_t *payload;          /* NULL: the slot is free. The marks lie behind the payload in the same allocation */
    size_t size;
    int64_t first, last;
    const int64_t *planned;
    const int64_t *marked;     /* NULL: every mark counts */
    size_t marks;
    int32_t lane, epoch;
};

enum phase { FREE, READING, HELD, OVER };

/* How her state is judged: not yet, between `position` and the first gap, not any more. */
enum standing { UNPLACED, PLACED, ASTRAY };

struct line {
    int64_t viewer;
    int64_t offset, target;
    int64_t since_us;          /* marks planned before are history to her, and no latency of hers */
    int64_t read_ns;           /* when the bytes that are being looked at were read */
    uint8_t *rest;             /* the beginning of a frame, or all that came after a welcome */
    size_t rest_size, rest_room;
    int fd;
    int32_t epoch;
    uint32_t generation;       /* of this slot: an event of the line that was here before is not for this one */
    uint8_t phase, standing;
    bool slow;                 /* read by read_some alone */
    bool catching;             /* CAUGHT_UP is still to come */
};

/* As native.py unpacks it: seven 64-bit numbers. */
struct single {
    int64_t viewer, at_ns, kind, a, b, payload_at, payload_size;
};

struct latencies {
    uint64_t counts[BUCKETS];
    size_t from, to;           /* the buckets that may have been hit: whoever takes often looks at few */
};

struct wire {
    ask_fn ask;
    int epoll, wake;
    bool awake;                /* `wake` is readable */
    int failed;                /* negative errno, or 1 where `ask` failed; the pump stops and hands it out */

    struct line *lines;
    size_t lines_count, lines_room;
    size_t *free_slots;
    size_t free_count;

    struct epoll_event ready[READY_MAX];
    int ready_at, ready_count;

    struct single *singles;
    size_t singles_count, singles_room;
    uint8_t *payloads;
    size_t payloads_size, payloads_room;

    struct known known[KNOWN_SLOTS];
    struct known *recent[LANES]; /* the last hit of each lane: nearly always the next one too */
    struct known *learning;      /* the slot that `wire_learn` fills */
    size_t known_count, known_bytes;

    int64_t clock_offset_ns;
    int64_t apart_us;          /* a mark so little ahead is of now, by a clock that goes ahead of ours */
    uint64_t counters[COUNTERS];
    struct latencies latencies[2]; /* STATE, TALK */
    uint64_t mask_state;
    uint8_t scratch[READ_BYTES];
};

static int64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* Room for `wanted` bytes, at least doubled, so that growing costs the same per byte however often it happens. */
static int grow(void **memory, size_t *room, size_t wanted)
{
    if (wanted <= *room)
        return 0;
    size_t larger = *room * 2 > wanted ? *room * 2 : wanted;
    void *moved = realloc(*memory, larger);
    if (!moved)
        return -ENOMEM;
    *memory = moved;
    *room = larger;
    return 0;
}

static uint64_t tag_of(const struct wire *wire, const struct line *line)
{
    return (uint64_t)line->generation << 32 | (uint64_t)(line - wire->lines);
}

/* Keep the descriptor readable: there is work that no socket will announce. */
static void wake(struct wire *wire)
{
    uint64_t one = 1;
    if (!wire->awake)
        wire->awake = write(wire->wake, &one, sizeof one) == sizeof one;
}

/* --- singles -------------------------------------------------------------------------------------------------------- */

static void tell(struct wire *wire, const struct line *line, int kind, const uint8_t *payload, size_t size, int64_t a,
                 int64_t b)
{
    size_t room = wire->singles_room * sizeof *wire->singles;
    void *rows = wire->singles, *bytes = wire->payloads;
    int rows_error = grow(&rows, &room, (wire->singles_count + 1) * sizeof *wire->singles);
    wire->singles = rows;
    wire->singles_room = room / sizeof *wire->singles;
    int bytes_error = grow(&bytes, &wire->payloads_room, wire->payloads_size + size);
    wire->payloads = bytes;
    if (rows_error || bytes_error) {
        wire->failed = -ENOMEM;
        return;
    }
    if (size)
        memcpy(wire->payloads + wire->payloads_size, payload, size);
    wire->singles[wire->singles_count++] = (struct single){
        .viewer = line->viewer, .at_ns = line->read_ns, .kind = kind, .a = a, .b = b,
        .payload_at = (int64_t)wire->payloads_size, .payload_size = (int64_t)size,
    };
    wire->payloads_size += size;
}

static void drop_rest(struct line *line)
{
    free(line->rest);
    line->rest = NULL;
    line->rest_size = line->rest_room = 0;
}

/* The line is of no more use: say so once. The descriptor stays open, it is the caller's. */
static void end(struct wire *wire, struct line *line, int kind, const uint8_t *payload, size_t size, int64_t a, int64_t b)
{
    if (!line->slow)
        epoll_ctl(wire->epoll, EPOLL_CTL_DEL, line->fd, NULL);
    line->phase = OVER;
    tell(wire, line, kind, payload, size, a, b);
}

/* --- what we say ---------------------------------------------------------------------------------------------------- */

/* A mask need not be secret here, only different: xorshift64. */
static uint32_t next_mask(struct wire *wire)
{
    uint64_t x = wire->mask_state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    wire->mask_state = x;
    return (uint32_t)(x >> 16);
}

/* A pong or a close. Nothing is kept for a line that is full: the server will ping again, and half a frame sent would
 * spoil whatever follows. Where it is broken the next read says so. */
static void say(struct wire *wire, struct line *line, int opcode, const uint8_t *payload, size_t size)
{
    uint8_t frame[6 + CONTROL_BYTES_MAX];
    uint32_t mask = next_mask(wire);
    frame[0] = (uint8_t)(0x80 | opcode);
    frame[1] = (uint8_t)(0x80 | size);
    memcpy(frame + 2, &mask, sizeof mask);
    for (size_t at = 0; at < size; at++)
        frame[6 + at] = payload[at] ^ frame[2 + at % 4];
    ssize_t sent = send(line->fd, frame, 6 + size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent <= 0)
        return;
    wire->counters[BYTES_OUT] += (uint64_t)sent;
    if ((size_t)sent < 6 + size)
        end(wire, line, ERROR, NULL, 0, WRONG_CUT_PONG, 0);
}

/* --- shared frames -------------------------------------------------------------------------------------------------- */

/* Which of the four words a message begins with, or -1: {"t": "state", …} in msgpack, the type always first. */
static int lane_of(const uint8_t *payload, size_t size)
{
    static const struct { uint8_t size; char word[8]; } WORDS[LANES] = {{5, "state"}, {4, "talk"}, {6, "levels"},
                                                                        {5, "relay"}};
    if (size < 4 || (payload[0] & 0xf0) != 0x80 || payload[1] != 0xa1 || payload[2] != 't')
        return -1;
    for (int lane = 0; lane < LANES; lane++) {
        size_t length = WORDS[lane].size;
        if (payload[3] == (0xa0 | length) && size >= 4 + length && !memcmp(payload + 4, WORDS[lane].word, length))
            return lane;
    }
    return -1;
}

static bool is_welcome(const uint8_t *payload, size_t size)
{
    return size >= 11 && (payload[0] & 0xf0) == 0x80 && !memcmp(payload + 1, "\xa1t\xa7welcome", 10);
}

static uint64_t hash_of(const uint8_t *payload, size_t size)
{
    uint64_t hash = size * UINT64_C(0x9e3779b97f4a7c15), word;
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        memcpy(&word, payload + at, 8);
        hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    word = 0;
    if (at < size)
        memcpy(&word, payload + at, size - at);
    hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 32;
}

static void forget_known(struct wire *wire)
{
    for (size_t at = 0; at < KNOWN_SLOTS; at++)
        free(wire->known[at].payload);
    memset(wire->known, 0, sizeof wire->known);
    memset(wire->recent, 0, sizeof wire->recent);
    wire->known_count = wire->known_bytes = 0;
}

static bool is_same(const struct known *known, const uint8_t *payload, size_t size)
{
    return known->size == size && !memcmp(known->payload, payload, size);
}

/* Ask what a new frame says. Everything known is forgotten first where there is too much of it: what is current is
 * learnt again with the next frame, and nothing has to be kept in order of age. */
static struct known *learn(struct wire *wire, uint64_t hash, const uint8_t *payload, size_t size)
{
    if (wire->known_count >= KNOWN_MAX || wire->known_bytes + size > KNOWN_BYTES_MAX)
        forget_known(wire);
    struct known *slot = &wire->known[hash % KNOWN_SLOTS];
    while (slot->payload)
        slot = &wire->known[(size_t)(slot - wire->known + 1) % KNOWN_SLOTS];
    *slot = (struct known){.hash = hash, .size = size};
    wire->learning = slot;
    int refused = wire->ask(payload, size);
    wire->learning = NULL;
    if (refused || !slot->payload) {
        free(slot->payload);
        slot->payload = NULL;
        if (!wire->failed)
            wire->failed = 1;
        return NULL;
    }
    memcpy(slot->payload, payload, size);
    wire->known_count++;
    wire->known_bytes += size;
    return slot;
}

static struct known *find(struct wire *wire, int lane, const uint8_t *payload, size_t size)
{
    struct known *found = wire->recent[lane];
    if (found && is_same(found, payload, size))
        return found;
    uint64_t hash = hash_of(payload, size);
    for (found = &wire->known[hash % KNOWN_SLOTS]; found->payload;
         found = &wire->known[(size_t)(found - wire->known + 1) % KNOWN_SLOTS])
        if (found->hash == hash && is_same(found, payload, size))
            break;
    if (!found->payload)
        found = learn(wire, hash, payload, size);
    wire->recent[lane] = found;
    return found;
}

/* --- tallies -------------------------------------------------------------------------------------------------------- */

static size_t bucket_of(int64_t us)
{
    if (us > LATENCY_US_MAX)
        us = LATENCY_US_MAX;
    if (us < 2 * HALF)
        return (size_t)us;
    int shift = 63 - __builtin_clzll((uint64_t)us) - HALF_BITS;
    return (size_t)(shift + 1) * HALF + (size_t)(us >> shift) - HALF;
}

static int64_t lowest_of(size_t bucket)
{
    if (bucket < 2 * HALF)
        return (int64_t)bucket;
    int shift = (int)(bucket >> HALF_BITS) - 1;
    return (int64_t)(HALF + (bucket & (HALF - 1))) << shift;
}

static void record(struct latencies *latencies, int64_t us)
{
    size_t bucket = bucket_of(us);
    if (latencies->from == latencies->to)
        latencies->from = bucket;
    if (bucket < latencies->from)
        latencies->from = bucket;
    if (bucket >= latencies->to)
        latencies->to = bucket + 1;
    latencies->counts[bucket]++;
}

/* Every mark of the frame beyond `after`; their number. A mark that lies ahead by no more than two hosts' clocks may be
 * apart took no time; one that lies further in the future is of another run's clock. */
static uint64_t tally_marks(struct wire *wire, const struct line *line, int lane, const struct known *known,
                            int64_t after)
{
    int64_t read_us = (line->read_ns + wire->clock_offset_ns) / 1000;
    uint64_t counted = 0;
    for (size_t at = 0; at < known->marks; at++) {
        if (known->marked && known->marked[at] <= after)
            continue;
        counted++;
        int64_t us = read_us - known->planned[at];
        if (us >= -wire->apart_us && known->planned[at] >= line->since_us)
            record(&wire->latencies[lane], us > 0 ? us : 0);
    }
    return counted;
}

static void maybe_caught_up(struct wire *wire, struct line *line)
{
    if (line->catching && line->offset >= line->target) {
        line->catching = false;
        tell(wire, line, CAUGHT_UP, NULL, 0, line->offset, line->target);
    }
}

/* After a gap nothing of her state is judged until `position`: one hole is told once, and her offset stays where she
 * really was, which is what she must resume from. */
static void take_state(struct wire *wire, struct line *line, const struct known *known)
{
    wire->counters[STATE_FRAMES]++;
    if (known->last < known->first || line->standing == ASTRAY)
        return;
    if (line->standing == UNPLACED || known->epoch != line->epoch || known->first > line->offset + 1) {
        wire->counters[STATE_GAPS]++;
        line->standing = ASTRAY;
        line->catching = false;
        tell(wire, line, GAP, known->payload, known->size, line->offset + 1, known->first);
        return;
    }
    if (known->first <= line->offset) {
        int64_t until = known->last < line->offset ? known->last : line->offset;
        wire->counters[STATE_DUPLICATES] += (uint64_t)(until - known->first + 1);
        tell(wire, line, DUPLICATE, known->payload, known->size, line->offset + 1, known->first);
        if (known->last <= line->offset)
            return;
    }
    wire->counters[STATE_EVENTS] += (uint64_t)(known->last - line->offset);
    wire->counters[STATE_RECEIVED] += tally_marks(wire, line, STATE, known, line->offset);
    line->offset = known->last;
    maybe_caught_up(wire, line);
}

static void take_shared(struct wire *wire, struct line *line, int lane, const uint8_t *payload, size_t size)
{
    const struct known *known = find(wire, lane, payload, size);
    if (!known)
        return;
    switch (known->lane) {
    case STATE:
        take_state(wire, line, known);
        break;
    case TALK:
        wire->counters[TALK_FRAMES]++;
        if (known->last >= known->first)
            wire->counters[TALK_LINES] += (uint64_t)(known->last - known->first + 1);
        tally_marks(wire, line, TALK, known, INT64_MIN);
        break;
    case LEVELS:
        wire->counters[LEVELS_FRAMES]++;
        break;
    default:
        break;
    }
}

/* --- frames --------------------------------------------------------------------------------------------------------- */

struct frame {
    int opcode;
    size_t head, size;
};

/* 1: the head is whole. 0: bytes are missing. Negative: minus what is wrong with it. */
static int read_head(const uint8_t *data, size_t size, struct frame *frame)
{
    if (size < 2)
        return 0;
    int opcode = data[0] & 0x0f;
    bool is_control = opcode >= CLOSE;
    if (data[0] & 0x70)
        return -WRONG_RESERVED_BITS;
    if (!(data[0] & 0x80) || opcode == CONTINUED)
        return -WRONG_FRAGMENT;
    if (opcode != TEXT && opcode != BINARY && opcode != CLOSE && opcode != PING && opcode != PONG)
        return -WRONG_OPCODE;
    if (data[1] & 0x80)
        return -WRONG_MASKED;
    if (is_control && data[1] > CONTROL_BYTES_MAX)
        return -WRONG_CONTROL_SIZE;
    size_t extra = data[1] < 126 ? 0 : data[1] == 126 ? 2 : 8;
    if (size < 2 + extra)
        return 0;
    uint64_t length = extra ? 0 : data[1];
    for (size_t at = 0; at < extra; at++)
        length = length << 8 | data[2 + at];
    if (length > FRAME_BYTES_MAX)
        return -WRONG_FRAME_SIZE;
    *frame = (struct frame){.opcode = opcode, .head = 2 + extra, .size = (size_t)length};
    return 1;
}

static void take_close(struct wire *wire, struct line *line, const uint8_t *payload, size_t size)
{
    int code = size >= 2 ? payload[0] << 8 | payload[1] : CODE_NONE;
    say(wire, line, CLOSE, payload, size >= 2 ? 2 : 0);
    if (line->phase == READING)
        end(wire, line, CLOSED, payload + (size >= 2 ? 2 : size), size >= 2 ? size - 2 : 0, code, 0);
}

static void take_message(struct wire *wire, struct line *line, const uint8_t *payload, size_t size)
{
    int lane = lane_of(payload, size);
    if (lane >= 0) {
        take_shared(wire, line, lane, payload, size);
    } else if (is_welcome(payload, size)) {
        line->phase = HELD;
        tell(wire, line, WELCOME, payload, size, 0, 0);
    } else {
        tell(wire, line, PAYLOAD, payload, size, 0, 0);
    }
}

static void take_frame(struct wire *wire, struct line *line, const struct frame *frame, const uint8_t *payload)
{
    wire->counters[FRAMES]++;
    switch (frame->opcode) {
    case BINARY:
        take_message(wire, line, payload, frame->size);
        break;
    case TEXT:
        tell(wire, line, PAYLOAD, payload, frame->size, 0, 0);
        break;
    case PING:
        wire->counters[PINGS]++;
        say(wire, line, PONG, payload, frame->size);
        break;
    case CLOSE:
        take_close(wire, line, payload, frame->size);
        break;
    default:
        break; /* a pong that nobody asked for */
    }
}

/* Whole frames of `data`, until the line is held or over; how many bytes they were. */
static size_t take_frames(struct wire *wire, struct line *line, const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (line->phase == READING) {
        struct frame frame;
        int found = read_head(data + at, size - at, &frame);
        if (found < 0)
            end(wire, line, ERROR, NULL, 0, -found, 0);
        if (found <= 0 || size - at - frame.head < frame.size)
            break;
        take_frame(wire, line, &frame, data + at + frame.head);
        at += frame.head + frame.size;
    }
    return at;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static int keep_rest(struct line *line, const uint8_t *data, size_t size)
{
    void *rest = line->rest;
    int error = grow(&rest, &line->rest_room, line->rest_size + size);
    line->rest = rest;
    if (error)
        return error;
    memcpy(line->rest + line->rest_size, data, size);
    line->rest_size += size;
    return 0;
}

static void take_rest(struct wire *wire, struct line *line)
{
    size_t used = take_frames(wire, line, line->rest, line->rest_size);
    if (line->phase == OVER || used == line->rest_size) {
        drop_rest(line);
    } else if (used) {
        line->rest_size -= used;
        memmove(line->rest, line->rest + used, line->rest_size);
    }
}

/* Room to read on after half a frame: doubled up to the whole frame, for its head may promise more than ever comes. */
static int make_room(struct line *line)
{
    struct frame frame;
    size_t whole = read_head(line->rest, line->rest_size, &frame) > 0 ? frame.head + frame.size : 0;
    size_t doubled = line->rest_size * 2;
    size_t wanted = (whole < doubled ? whole : doubled) + REST_BYTES_MIN;
    if (wanted < line->rest_size + REST_BYTES_MIN)
        wanted = line->rest_size + REST_BYTES_MIN;
    void *rest = line->rest;
    int error = grow(&rest, &line->rest_room, wanted);
    line->rest = rest;
    return error;
}

enum read { EMPTY, MORE, STOPPED };

/* One recv of at most `most` bytes and what is in it. EMPTY: the socket has no more for now. */
static enum read read_once(struct wire *wire, struct line *line, size_t most)
{
    bool fresh = !line->rest_size;
    if (!fresh && make_room(line)) {
        wire->failed = -ENOMEM;
        return STOPPED;
    }
    uint8_t *into = fresh ? wire->scratch : line->rest + line->rest_size;
    size_t room = fresh ? sizeof wire->scratch : line->rest_room - line->rest_size;
    if (room > most)
        room = most;
    ssize_t got;
    do {
        got = recv(line->fd, into, room, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    int error = got < 0 ? errno : 0;
    if (error == EAGAIN || error == EWOULDBLOCK)
        return EMPTY;
    line->read_ns = now_ns();
    if (got <= 0) {
        end(wire, line, CLOSED, NULL, 0, CODE_BROKEN, error);
        drop_rest(line);
        return STOPPED;
    }
    size_t size = (size_t)got;
    wire->counters[BYTES_IN] += size;
    if (fresh) {
        size_t used = take_frames(wire, line, wire->scratch, size);
        if (line->phase != OVER && used < size && keep_rest(line, wire->scratch + used, size - used))
            wire->failed = -ENOMEM;
    } else {
        line->rest_size += size;
        take_rest(wire, line);
    }
    if (line->phase != READING || wire->failed)
        return STOPPED;
    return size < room ? EMPTY : MORE;
}

static int watch(struct wire *wire, struct line *line, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = tag_of(wire, line)};
    return epoll_ctl(wire->epoll, operation, line->fd, &event) ? -errno : 0;
}

/* Where the other side has ended, what lies before its end is read first: the end itself makes no second edge. */
static void read_line(struct wire *wire, struct line *line, bool has_ended)
{
    for (int reads = 0; reads < READS_MAX; reads++) {
        enum read outcome = read_once(wire, line, SIZE_MAX);
        if (outcome == STOPPED || (outcome == EMPTY && !has_ended))
            break;
        if (reads + 1 == READS_MAX)
            watch(wire, line, EPOLL_CTL_MOD);
    }
    if (wire->failed && line->phase == READING)
        watch(wire, line, EPOLL_CTL_MOD);
}

static void take_event(struct wire *wire, const struct epoll_event *event)
{
    if (event->data.u64 == WAKE_TAG) {
        uint64_t count;
        wire->awake = read(wire->wake, &count, sizeof count) != sizeof count;
        return;
    }
    struct line *line = &wire->lines[event->data.u64 & UINT32_MAX];
    if (line->generation == event->data.u64 >> 32 && line->phase == READING)
        read_line(wire, line, event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

/* --- what native.py calls ------------------------------------------------------------------------------------------- */

int wire_abi(int64_t *numbers)
{
    const int64_t ours[] = {COUNTERS, LANES, ERROR, WRONG_CUT_PONG, FRAME_BYTES_MAX, READ_BYTES, KNOWN_MAX,
                            KNOWN_BYTES_MAX, SINGLES_BYTES_MAX, LATENCY_US_MAX, BUCKETS};
    memcpy(numbers, ours, sizeof ours);
    return (int)(sizeof ours / sizeof *ours);
}

void wire_free(struct wire *wire)
{
    for (size_t at = 0; at < wire->lines_count; at++)
        drop_rest(&wire->lines[at]);
    forget_known(wire);
    if (wire->epoll >= 0)
        close(wire->epoll);
    if (wire->wake >= 0)
        close(wire->wake);
    free(wire->lines);
    free(wire->free_slots);
    free(wire->singles);
    free(wire->payloads);
    free(wire);
}

/* NULL with errno where there is no memory or no descriptor left. */
struct wire *wire_new(ask_fn ask)
{
    struct wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        return NULL;
    wire->ask = ask;
    wire->mask_state = (uint64_t)now_ns() | 1;
    wire->epoll = epoll_create1(EPOLL_CLOEXEC);
    wire->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_TAG};
    if (wire->epoll < 0 || wire->wake < 0 || epoll_ctl(wire->epoll, EPOLL_CTL_ADD, wire->wake, &event)) {
        int error = errno;
        wire_free(wire);
        errno = error;
        return NULL;
    }
    return wire;
}

int wire_descriptor(const struct wire *wire)
{
    return wire->epoll;
}

void wire_set_clock(struct wire *wire, int64_t offset_ns, int64_t apart_us)
{
    wire->clock_offset_ns = offset_ns;
    wire->apart_us = apart_us;
}

/* A slot that was used before has its generation raised when it is left. */
static int64_t find_slot(struct wire *wire)
{
    if (wire->free_count)
        return (int64_t)wire->free_slots[--wire->free_count];
    if (wire->lines_count == wire->lines_room) {
        size_t more = wire->lines_room ? wire->lines_room * 2 : 64;
        size_t *slots = realloc(wire->free_slots, more * sizeof *slots);
        if (!slots)
            return -ENOMEM;
        wire->free_slots = slots;
        struct line *lines = realloc(wire->lines, more * sizeof *lines);
        if (!lines)
            return -ENOMEM;
        wire->lines = lines;
        wire->lines_room = more;
    }
    wire->lines[wire->lines_count] = (struct line){.generation = 1};
    return (int64_t)wire->lines_count++;
}

static void leave_slot(struct wire *wire, struct line *line)
{
    drop_rest(line);
    *line = (struct line){.generation = line->generation + 1};
    wire->free_slots[wire->free_count++] = (size_t)(line - wire->lines);
}

/* The slot by which every other call names the line. */
int64_t wire_add(struct wire *wire, int64_t viewer, int fd, const uint8_t *rest, size_t size, int slow,
                 int64_t since_us)
{
    int64_t slot = find_slot(wire);
    if (slot < 0)
        return slot;
    struct line *line = &wire->lines[slot];
    line->viewer = viewer;
    line->fd = fd;
    line->slow = slow;
    line->since_us = since_us;
    line->phase = READING;
    line->read_ns = now_ns();
    int error = size ? keep_rest(line, rest, size) : 0;
    if (!error && !slow)
        error = watch(wire, line, EPOLL_CTL_ADD);
    if (error) {
        leave_slot(wire, line);
        return error;
    }
    wire->counters[BYTES_IN] += size;
    if (size)
        take_rest(wire, line);
    if (wire->singles_count)
        wake(wire);
    return slot;
}

void wire_remove(struct wire *wire, int64_t slot)
{
    struct line *line = &wire->lines[slot];
    if (line->phase != OVER && !line->slow)
        epoll_ctl(wire->epoll, EPOLL_CTL_DEL, line->fd, NULL);
    size_t kept = 0;
    for (size_t at = 0; at < wire->singles_count; at++)
        if (wire->singles[at].viewer != line->viewer)
            wire->singles[kept++] = wire->singles[at];
    wire->singles_count = kept;
    leave_slot(wire, line);
}

/* What failed since the last call, as wire_pump answers it: for calls that have an answer of their own. */
int wire_failed(struct wire *wire)
{
    int failed = wire->failed;
    wire->failed = 0;
    return failed;
}

/* Events that were fetched and not looked at are known to nobody else; those that were not keep the epoll readable. */
static int leave_pump(struct wire *wire)
{
    if (wire->ready_at < wire->ready_count)
        wake(wire);
    return wire_failed(wire);
}

static bool fetch_ready(struct wire *wire)
{
    int count = epoll_wait(wire->epoll, wire->ready, READY_MAX, 0);
    wire->ready_at = 0;
    wire->ready_count = count > 0 ? count : 0;
    return count > 0;
}

static void linger(void)
{
    struct timespec moment = {.tv_nsec = LINGER_NS};
    nanosleep(&moment, NULL);
}

/* Read what is there now, for about `budget_ns`. 1 where `ask` failed. */
int wire_pump(struct wire *wire, int64_t budget_ns)
{
    int64_t until = now_ns() + budget_ns;
    uint64_t frames_before = wire->counters[FRAMES];
    int lingers = 0;
    while (!wire->failed) {
        if (wire->ready_at == wire->ready_count && !fetch_ready(wire)) {
            bool is_busy = wire->counters[FRAMES] - frames_before >= LINGER_FRAMES_MIN;
            if (!is_busy || lingers == LINGERS_MAX || now_ns() + LINGER_NS > until)
                return 0;
            frames_before = wire->counters[FRAMES];
            lingers++;
            linger();
        }
        while (wire->ready_at < wire->ready_count && !wire->failed) {
            take_event(wire, &wire->ready[wire->ready_at++]);
            /* The clock is not asked for each line: a line is read in a microsecond or two. */
            bool is_time = wire->ready_at % 32 == 0 || wire->ready_at == wire->ready_count;
            if (wire->payloads_size > SINGLES_BYTES_MAX || (is_time && now_ns() > until))
                return leave_pump(wire);
        }
    }
    return leave_pump(wire);
}

void wire_position(struct wire *wire, int64_t slot, int32_t epoch, int64_t offset, int64_t target)
{
    struct line *line = &wire->lines[slot];
    if (line->phase == OVER)
        return;
    line->epoch = epoch;
    line->offset = offset;
    line->target = target;
    line->standing = PLACED;
    line->catching = true;
    bool was_held = line->phase == HELD;
    line->phase = READING;
    maybe_caught_up(wire, line);
    if (line->rest_size)
        take_rest(wire, line);
    if (was_held && line->phase == READING && !line->slow)
        watch(wire, line, EPOLL_CTL_MOD);
    if (wire->singles_count)
        wake(wire);
}

void wire_read_some(struct wire *wire, int64_t slot, size_t most)
{
    struct line *line = &wire->lines[slot];
    if (line->phase == READING && most)
        read_once(wire, line, most);
}

void wire_offset(const struct wire *wire, int64_t slot, int64_t *epoch_and_offset)
{
    const struct line *line = &wire->lines[slot];
    epoch_and_offset[0] = line->epoch;
    epoch_and_offset[1] = line->offset;
}

/* The number of singles that wait; they stay until `wire_clear`. */
size_t wire_singles(const struct wire *wire, const struct single **rows, const uint8_t **payloads, size_t *payloads_size)
{
    *rows = wire->singles;
    *payloads = wire->payloads;
    *payloads_size = wire->payloads_size;
    return wire->singles_count;
}

void wire_clear(struct wire *wire)
{
    wire->singles_count = wire->payloads_size = 0;
    if (wire->payloads_room > 2 * SINGLES_BYTES_MAX) {
        free(wire->payloads);
        wire->payloads = NULL;
        wire->payloads_room = 0;
    }
}

/* From inside `ask`: what the frame says. `marked` NULL: every mark counts. */
int wire_learn(struct wire *wire, int32_t lane, int32_t epoch, int64_t first, int64_t last, const int64_t *planned,
               const int64_t *marked, size_t marks)
{
    struct known *known = wire->learning;
    /* The marks are read as 64-bit numbers, so they begin at a multiple of eight. */
    size_t marks_at = (known->size + 7) & ~(size_t)7;
    uint8_t *memory = malloc(marks_at + 2 * marks * sizeof *planned + 1);
    if (!memory) {
        wire->failed = -ENOMEM;
        return -ENOMEM;
    }
    int64_t *numbers = (int64_t *)(void *)(memory + marks_at);
    if (marks)
        memcpy(numbers, planned, marks * sizeof *planned);
    if (marks && marked)
        memcpy(numbers + marks, marked, marks * sizeof *marked);
    known->payload = memory;
    known->planned = numbers;
    known->marked = marked ? numbers + marks : NULL;
    known->marks = marks;
    known->lane = lane;
    known->epoch = epoch;
    known->first = first;
    known->last = last;
    return 0;
}

void wire_take_counters(struct wire *wire, uint64_t *counters)
{
    memcpy(counters, wire->counters, sizeof wire->counters);
    memset(wire->counters, 0, sizeof wire->counters);
}

/* (lowest value, count) of each bucket that was hit; how many. `pairs` has room for all BUCKETS. */
size_t wire_take_latencies(struct wire *wire, int lane, int64_t *pairs)
{
    struct latencies *latencies = &wire->latencies[lane];
    size_t found = 0;
    for (size_t bucket = latencies->from; bucket < latencies->to; bucket++) {
        if (!latencies->counts[bucket])
            continue;
        pairs[2 * found] = lowest_of(bucket);
        pairs[2 * found + 1] = (int64_t)latencies->counts[bucket];
        latencies->counts[bucket] = 0;
        found++;
    }
    latencies->from = latencies->to = 0;
    return found;
}
