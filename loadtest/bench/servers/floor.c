/* The floor: the same bytes to each socket, one send() per socket, and nothing else.
 *
 * Takes non-blocking sockets. A full socket is waited for, so that every viewer gets every frame; a broken one is
 * passed over. Returns how many got all of it. */

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

static int send_whole(int plug, const char *frame, size_t size)
{
    size_t sent = 0;

    while (sent < size) {
        ssize_t part = send(plug, frame + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (part >= 0) {
            sent += (size_t)part;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd room = {.fd = plug, .events = POLLOUT};
            poll(&room, 1, 10000);
        } else if (errno != EINTR) {
            return 0;
        }
    }
    return 1;
}

int send_to_each(const int *plugs, int count, const char *frame, size_t size)
{
    int whole = 0;

    for (int i = 0; i < count; i++)
        whole += send_whole(plugs[i], frame, size);
    return whole;
}
