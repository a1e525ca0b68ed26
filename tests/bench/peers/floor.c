/* The floor: what the kernel alone costs. One read and one write a message, in C, nothing understood or checked.
 *
 * It knows just what the load generator sends it: the upgrade (answered without a proof), small `ping` messages, answered
 * with a frame as long as a pong, and `progress` and `ready`, answered with a frame as long as the service's to the
 * others, or to all, of the room that the path names. Prints its port.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_EVENTS = 512, MAX_SOCKETS = 1 << 16, MAX_ROOM = 1024, READ_SIZE = 1 << 16 };

struct connection { int socket, room, is_open; };
struct room { int count; struct connection *members[MAX_ROOM]; };

static struct connection connections[MAX_SOCKETS];
static struct room rooms[MAX_SOCKETS];
static char pong[256], progress[512], ready[512];
static size_t pong_size, progress_size, ready_size;

static size_t frame(char *out, const char *begin, size_t size) {
    size_t head = size < 126 ? 2 : 4;
    out[0] = (char)0x81;
    out[1] = (char)(size < 126 ? size : 126);
    if (head == 4) out[2] = (char)(size >> 8), out[3] = (char)size;
    memset(out + head, ' ', size);
    memcpy(out + head, begin, strlen(begin));
    return head + size;
}

static void put(struct connection *one, const char *bytes, size_t size) {
    if (write(one->socket, bytes, size) != (ssize_t)size) exit(1);
}

static void leave(struct connection *one) {
    struct room *room = &rooms[one->room];
    for (int index = 0; one->is_open && index < room->count; index++)
        if (room->members[index] == one) {
            room->members[index] = room->members[--room->count];
            break;
        }
    close(one->socket);
}

static void upgrade(struct connection *one, const char *request) {
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    const char *number = strstr(request, "/ws/");
    one->room = number ? atoi(number + 4) % MAX_SOCKETS : 0;
    one->is_open = 1;
    struct room *room = &rooms[one->room];
    if (room->count < MAX_ROOM) room->members[room->count++] = one;
    put(one, answer, sizeof answer - 1);
}

static void on_frame(struct connection *one, unsigned char *bytes) {
    size_t size = bytes[1] & 0x7f;
    if ((bytes[0] & 0x0f) == 8) {
        put(one, "\x88\x02\x03\xe8", 4);
        leave(one);
        return;
    }
    if ((bytes[0] & 0x0f) != 1 || size >= 126 || size < 12) return;
    char kind = (char)(bytes[6 + 10] ^ bytes[2 + (10 & 3)]); /* the letter after {"type":"p */
    struct room *room = &rooms[one->room];
    if (kind == 'i') {
        put(one, pong, pong_size);
    } else if (kind == 'r') {
        for (int index = 0; index < room->count; index++)
            if (room->members[index] != one) put(room->members[index], progress, progress_size);
    } else {
        for (int index = 0; index < room->count; index++) put(room->members[index], ready, ready_size);
    }
}

static void on_bytes(struct connection *one) {
    static unsigned char bytes[READ_SIZE + 1];
    ssize_t got = read(one->socket, bytes, READ_SIZE);
    if (got <= 0) {
        leave(one);
        return;
    }
    bytes[got] = 0;
    if (!one->is_open) {
        upgrade(one, (char *)bytes);
        return;
    }
    for (ssize_t at = 0; at + 6 <= got; at += 6 + (bytes[at + 1] & 0x7f)) on_frame(one, bytes + at);
}

int main(void) {
    pong_size = frame(pong, "{\"type\":\"pong\"", 65);
    progress_size = frame(progress, "{\"type\":\"player_progress\"", 200);
    ready_size = frame(ready, "{\"type\":\"player_ready\"", 220);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, epoll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[MAX_EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int index = 0; index < count; index++) {
            int socket = events[index].data.fd;
            if (socket != listener) {
                on_bytes(&connections[socket]);
                continue;
            }
            int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (accepted < 0 || accepted >= MAX_SOCKETS) continue;
            setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            connections[accepted] = (struct connection){.socket = accepted};
            struct epoll_event readable = {.events = EPOLLIN, .data.fd = accepted};
            epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &readable);
        }
    }
}
