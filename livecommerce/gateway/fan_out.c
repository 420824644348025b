/* The same bytes to many sockets: one send() each, and a note of those that did not take all of it.
 *
 * What arrives: descriptors; HELD where a viewer's line is not free, NOBODY where a seat is empty. What leaves: in
 * `notes`, two numbers for each who did not get the whole frame: her place, and how many bytes her socket took (0 where
 * it is full), HELD where nothing was tried, BROKEN where the other side is gone. Nothing waits here. It does not
 * know viewers, nor what a frame is.
 *
 * The descriptors must be read in the same turn of the event loop in which this is called: their numbers are reused. */

#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

enum { HELD = -1, NOBODY = -2, BROKEN = -3 };

static int send_one(int descriptor, const char *frame, size_t size)
{
    for (;;) {
        ssize_t sent = send(descriptor, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            return (int)sent;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return BROKEN;
    }
}

/* Serves `first` first and the one before it last. `notes` has room for two numbers a descriptor. Returns how many
 * descriptors are noted. */
int fan_out(const int *descriptors, int count, int first, const char *frame, size_t size, int *notes)
{
    int noted = 0;

    for (int served = 0, place = first; served < count; served++, place = place + 1 < count ? place + 1 : 0) {
        int descriptor = descriptors[place];
        if (descriptor == NOBODY)
            continue;
        int taken = descriptor == HELD ? HELD : send_one(descriptor, frame, size);
        if (taken >= 0 && (size_t)taken == size)
            continue;
        notes[2 * noted] = place;
        notes[2 * noted + 1] = taken;
        noted++;
    }
    return noted;
}
