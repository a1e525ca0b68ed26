/* The load: many WebSocket connections of one thread, as cheap as can be, so that the server is what is measured.
 *
 * load PORT REQUESTS [HELLO]
 *
 * REQUESTS is a file of upgrade requests, one after the other: a connection each, to the port that its Host names, or
 * else to PORT. HELLO is a message sent after the upgrade; @FILE has one a line, of each connection in turn. Commands
 * come on standard input, one a line, their parts separated by tabs; each is answered by one line of JSON with `messages`, `seconds` and `busy`, the part of the time in which this process used its core.
 *
 *   open   AT_ONCE                            connect all and hold them
 *   echo   COUNT PREFIX MESSAGE...            each connection sends one and waits for an answer beginning with PREFIX
 *   fan    COUNT GROUP WANTED PREFIX MESSAGE...  the first of each GROUP sends; WANTED of the group must get one
 *   rate   PER_SECOND VISITS COUNT PREFIX MESSAGE...  an open loop: sent on schedule; latencies run from the schedule,
 *                                             in µs; meanwhile so many visitors a second connect and close
 *   visitors COUNT                            the last of the requests are visitors'; before `open`
 *   churn  COUNT AT_ONCE                      connect, complete the handshake, close, and again
 *   say    MESSAGE                            each connection sends it
 *   hold   SECONDS                            read, and answer pings, for so long
 *   settle MS                                 read until nothing has come for so long
 *   close                                     close all
 *   leave SECONDS                             read until the server has closed all, and tell how they were spread
 *
 * Several MESSAGEs are sent in turns. Any connection that ends unasked is a fault: the program says so and exits with 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 512, READ_SIZE = 1 << 20, MAX_VARIANTS = 8, MAX_LINE = 1 << 16 };
enum state { GONE, CONNECTING, UPGRADING, OPEN, CLOSING };
enum mode { IDLE, ECHO, FAN, RATE, CHURN };

struct connection {
    int socket;
    enum state state;
    const char *request;
    size_t request_size;
    int number; /* of the request */
    char *rest; /* of a frame that has not come whole */
    size_t rest_size;
    int turn;        /* which of the messages is next */
    double *due;     /* rate: when the answers that are awaited were due, a ring */
    unsigned head, tail;
};

struct group { long wanted; };

static struct connection *all;
static const char **requests;
static size_t *request_sizes;
static int count, listening_port, epoll, opened;
static const char host[] = "\r\nHost: localhost:";
static long finished;
static const char *hello;
static char **hellos; /* of each request, where they differ */
static char *read_buffer;
static enum mode mode = IDLE;
static const char *prefix;
static size_t prefix_size;
static char *variants[MAX_VARIANTS];
static size_t variant_sizes[MAX_VARIANTS];
static int variant_count;
static long to_send, to_answer, answered;
static struct group *groups;
static int group_size, group_wanted;
static int visitors; /* the last requests: they come and go within a `rate`, and take no part otherwise */
static double *latencies;
static unsigned ring_size;
static double *left_at; /* when each connection went, since they were opened */
static long left;
static double last_said; /* when something was read that is no ping: those of ten thousand connections leave no pause */

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double used(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A masked frame (RFC 6455 section 5.2); caller frees. */
static char *encode(int opcode, const char *payload, size_t size, size_t *out_size) {
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    unsigned char *out = malloc(size + 14), *at = out;
    *at++ = 0x80 | opcode;
    if (size < 126) {
        *at++ = 0x80 | size;
    } else if (size < 65536) {
        *at++ = 0x80 | 126;
        *at++ = size >> 8;
        *at++ = size;
    } else {
        *at++ = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8) *at++ = (uint64_t)size >> shift;
    }
    memcpy(at, mask, 4);
    at += 4;
    for (size_t index = 0; index < size; index++) *at++ = (unsigned char)payload[index] ^ mask[index & 3];
    *out_size = at - out;
    return (char *)out;
}

static void put(struct connection *one, const char *bytes, size_t size) {
    if (write(one->socket, bytes, size) != (ssize_t)size) fail("write: %s", strerror(errno));
}

static void put_message(struct connection *one, int opcode, const char *payload, size_t size) {
    size_t out_size;
    char *out = encode(opcode, payload, size, &out_size);
    put(one, out, out_size);
    free(out);
}

static void send_next(struct connection *one) {
    int which = one->turn++ % variant_count; /* goes on from command to command: a state that is told changes each time */
    put(one, variants[which], variant_sizes[which]);
}

static void dial(struct connection *one) {
    const char *named = memmem(one->request, one->request_size, host, sizeof host - 1);
    int port = named ? atoi(named + sizeof host - 1) : listening_port;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    one->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (one->socket < 0) fail("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(one->socket, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    one->state = CONNECTING;
    one->rest_size = 0;
    one->turn = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = one};
    epoll_ctl(epoll, EPOLL_CTL_ADD, one->socket, &event);
}

static void drop(struct connection *one) {
    if (one->state == GONE) return;
    close(one->socket);
    if (left < count) left_at[left++] = now();
    one->state = GONE;
    one->rest_size = 0;
    opened--;
    finished++;
}

static void on_text(struct connection *one, const char *payload, size_t size) {
    int index = one - all;
    if (mode == IDLE || mode == CHURN || index >= count || size < prefix_size || memcmp(payload, prefix, prefix_size))
        return;
    if (mode == ECHO) {
        answered++;
        if (to_send > 0) {
            to_send--;
            send_next(one);
        }
    } else if (mode == FAN) {
        struct group *group = &groups[index / group_size];
        answered++;
        if (--group->wanted == 0) {
            struct connection *sender = &all[index / group_size * group_size];
            if (to_send > 0) {
                to_send--;
                group->wanted = group_wanted;
                send_next(sender);
            }
        }
    } else if (mode == RATE) {
        latencies[answered++] = now() - one->due[one->tail++ % ring_size];
    }
}

static void on_close(struct connection *one) {
    if (one->state == OPEN) {
        if (mode != IDLE || !opened) fail("the server closed a connection");
        put_message(one, 8, "\x03\xe8", 2);
        one->state = CLOSING;
    }
}

/* Handles whole frames; the bytes it used. */
static size_t on_bytes(struct connection *one, char *bytes, size_t size) {
    size_t at = 0;
    if (one->state == UPGRADING) {
        char *end = memmem(bytes, size, "\r\n\r\n", 4);
        if (end == NULL) return 0;
        if (size < 12 || memcmp(bytes + 9, "101", 3)) fail("refused: %.*s", (int)size, bytes);
        at = end + 4 - bytes;
        one->state = OPEN;
        opened++;
        const char *first = hellos ? hellos[one->number] : hello;
        if (first) put_message(one, 1, first, strlen(first));
        if (mode == CHURN || one - all >= count) {
            put_message(one, 8, "\x03\xe8", 2);
            one->state = CLOSING;
        }
    }
    while (size - at >= 2) {
        unsigned char *head = (unsigned char *)bytes + at;
        size_t length = head[1] & 0x7f, header = 2;
        if (length == 126) {
            header = 4;
            if (size - at < header) break;
            length = head[2] << 8 | head[3];
        } else if (length == 127) {
            header = 10;
            if (size - at < header) break;
            length = 0;
            for (int index = 2; index < 10; index++) length = length << 8 | head[index];
        }
        if (size - at < header + length) break;
        int opcode = head[0] & 0x0f;
        if (opcode != 9) last_said = now();
        if (opcode == 1) on_text(one, bytes + at + header, length);
        else if (opcode == 9 && one->state == OPEN) put_message(one, 10, bytes + at + header, length);
        else if (opcode == 8) on_close(one);
        at += header + length;
    }
    return at;
}

static void on_readable(struct connection *one) {
    memcpy(read_buffer, one->rest, one->rest_size);
    ssize_t got = read(one->socket, read_buffer + one->rest_size, READ_SIZE - one->rest_size);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        if (one->state != CLOSING) fail("a connection ended unasked: %s", got ? strerror(errno) : "end of stream");
        drop(one);
        return;
    }
    size_t size = one->rest_size + got;
    size_t done = on_bytes(one, read_buffer, size);
    one->rest_size = size - done;
    if (one->rest_size) {
        one->rest = realloc(one->rest, one->rest_size);
        memcpy(one->rest, read_buffer + done, one->rest_size);
    } else if (one->rest) {
        free(one->rest);
        one->rest = NULL;
    }
}

static void on_writable(struct connection *one) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    epoll_ctl(epoll, EPOLL_CTL_MOD, one->socket, &event);
    if (one->state == CONNECTING) {
        put(one, one->request, one->request_size);
        one->state = UPGRADING;
    }
}

/* One look at the sockets. Within a `rate` it does not sleep: a late wake-up would be taken for the server's. */
static void turn(int timeout_ms) {
    static struct epoll_event events[MAX_EVENTS];
    int ready = epoll_wait(epoll, events, MAX_EVENTS, timeout_ms);
    for (int index = 0; index < ready; index++) {
        struct connection *one = events[index].data.ptr;
        if (events[index].events & EPOLLOUT) on_writable(one);
        if (one->state != GONE && events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(one);
    }
}

static char *next_part(char **line) {
    char *part = strsep(line, "\t");
    if (part == NULL) fail("a command lacks a part");
    return part;
}

static void read_messages(char **line) {
    prefix = next_part(line);
    prefix_size = strlen(prefix);
    for (int index = 0; index < variant_count; index++) free(variants[index]);
    variant_count = 0;
    while (*line && variant_count < MAX_VARIANTS) {
        char *message = next_part(line);
        variants[variant_count] = encode(1, message, strlen(message), &variant_sizes[variant_count]);
        variant_count++;
    }
    if (!variant_count) fail("no message");
}

static void run_open(int at_once) {
    mode = IDLE;
    left = 0;
    for (int next = 0; opened < count; turn(1000))
        while (next < count && next - opened < at_once) dial(&all[next++]);
}

static void run_echo(void) {
    mode = ECHO;
    to_send = to_answer;
    for (int index = 0; index < count && to_send > 0; index++, to_send--) send_next(&all[index]);
    while (answered < to_answer) turn(1000);
}

static void run_fan(void) {
    mode = FAN;
    int number = count / group_size;
    groups = calloc(number, sizeof *groups);
    to_send = to_answer;
    to_answer *= group_wanted;
    for (int index = 0; index < number && to_send > 0; index++, to_send--) {
        groups[index].wanted = group_wanted;
        send_next(&all[index * group_size]);
    }
    while (answered < to_answer) turn(1000);
    free(groups);
}

static void visit(double begin, double per_second, long *begun) {
    for (double at = now(); per_second && begin + *begun / per_second <= at; (*begun)++) {
        struct connection *one = &all[count + *begun % visitors];
        if (one->state != GONE) return; /* the server is behind: the others come late */
        dial(one);
    }
}

static void run_rate(double per_second, double visits_per_second) {
    mode = RATE;
    ring_size = to_answer / count + 2;
    for (int index = 0; index < count; index++) {
        all[index].due = malloc(ring_size * sizeof(double));
        all[index].head = all[index].tail = 0;
    }
    latencies = malloc(to_answer * sizeof(double));
    double begin = now() + 0.01;
    long sent = 0, begun = 0;
    while (answered < to_answer) {
        visit(begin, visits_per_second, &begun);
        for (double at = now(); sent < to_answer && begin + sent / per_second <= at; sent++) {
            struct connection *one = &all[sent % count];
            one->due[one->head++ % ring_size] = begin + sent / per_second;
            send_next(one);
        }
        turn(0);
    }
    for (int index = count; index < count + visitors; index++)
        while (all[index].state != GONE) turn(100);
    for (int index = 0; index < count; index++) free(all[index].due);
}

static void run_churn(int at_once) {
    mode = CHURN;
    finished = 0;
    for (long begun = 0; finished < to_answer; turn(1000))
        for (int index = 0; index < at_once && begun < to_answer; index++)
            if (all[index].state == GONE) {
                all[index].request = requests[begun % count];
                all[index].number = begun % count;
                all[index].request_size = request_sizes[begun++ % count];
                dial(&all[index]);
            }
    answered = finished;
}

static void run_settle(double quiet_s) {
    mode = IDLE;
    for (last_said = now(); now() - last_said < quiet_s;) turn(20);
}

static void run_close(void) {
    mode = IDLE;
    for (int index = 0; index < count; index++)
        if (all[index].state == OPEN) {
            put_message(&all[index], 8, "\x03\xe8", 2);
            all[index].state = CLOSING;
        }
    for (int left = 1; left; ) {
        turn(100);
        left = 0;
        for (int index = 0; index < count; index++) left += all[index].state != GONE;
    }
}

static void run_leave(double seconds) {
    mode = IDLE;
    for (double end = now() + seconds; opened && now() < end;) turn(100);
    if (opened) fail("%d connections were not closed", opened);
}

/* The most that went within a tenth of a second; they went in order. */
static long most_at_once(void) {
    long most = 0;
    for (long first = 0, last = 0; last < left; last++) {
        while (left_at[last] - left_at[first] > 0.1) first++;
        if (last - first + 1 > most) most = last - first + 1;
    }
    return most;
}

static int by_size(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static void show(double seconds, double busy) {
    printf("{\"messages\":%ld,\"seconds\":%.6f,\"busy\":%.3f", answered, seconds, busy / seconds);
    if (mode == RATE) {
        qsort(latencies, answered, sizeof(double), by_size);
        printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f", latencies[answered / 2] * 1e6,
               latencies[answered * 99 / 100] * 1e6, latencies[answered * 999 / 1000] * 1e6);
        free(latencies);
    }
    printf("}\n");
    fflush(stdout);
}

static void obey(char *line) {
    char *command = next_part(&line);
    double begin = now(), began = used();
    answered = 0;
    if (!strcmp(command, "open")) {
        run_open(atoi(next_part(&line)));
        answered = opened;
    } else if (!strcmp(command, "echo")) {
        to_answer = atol(next_part(&line));
        read_messages(&line);
        run_echo();
    } else if (!strcmp(command, "fan")) {
        to_answer = atol(next_part(&line));
        group_size = atoi(next_part(&line));
        group_wanted = atoi(next_part(&line));
        read_messages(&line);
        run_fan();
    } else if (!strcmp(command, "rate")) {
        double per_second = atof(next_part(&line));
        double visits_per_second = atof(next_part(&line));
        to_answer = atol(next_part(&line));
        read_messages(&line);
        run_rate(per_second, visits_per_second);
    } else if (!strcmp(command, "visitors")) {
        visitors = atoi(next_part(&line));
        count -= visitors;
    } else if (!strcmp(command, "churn")) {
        to_answer = atol(next_part(&line));
        run_churn(atoi(next_part(&line)));
    } else if (!strcmp(command, "say")) {
        size_t size;
        char *frame = encode(1, line, strlen(line), &size);
        for (int index = 0; index < count; index++) put(&all[index], frame, size);
        free(frame);
    } else if (!strcmp(command, "hold")) {
        for (double end = now() + atof(next_part(&line)); now() < end;) turn(50);
    } else if (!strcmp(command, "settle")) {
        run_settle(atof(next_part(&line)) / 1000);
    } else if (!strcmp(command, "close")) {
        run_close();
    } else if (!strcmp(command, "leave")) {
        run_leave(atof(next_part(&line)));
        printf("{\"messages\":%ld,\"spread_s\":%.3f,\"most_at_once\":%ld}\n", left, left_at[left - 1] - left_at[0],
               most_at_once());
        fflush(stdout);
        return;
    } else {
        fail("no such command: %s", command);
    }
    show(now() - begin, used() - began);
    mode = IDLE;
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail("%s: %s", path, strerror(errno));
    fseek(file, 0, SEEK_END);
    size_t size = ftell(file);
    rewind(file);
    char *bytes = malloc(size + 1);
    if (fread(bytes, 1, size, file) != size) fail("%s: not readable", path);
    fclose(file);
    bytes[size] = 0;
    for (char *at = bytes, *end; (end = strstr(at, "\r\n\r\n")); at = end + 4) {
        all = realloc(all, (count + 1) * sizeof *all);
        requests = realloc(requests, (count + 1) * sizeof *requests);
        request_sizes = realloc(request_sizes, (count + 1) * sizeof *request_sizes);
        requests[count] = at;
        request_sizes[count] = end + 4 - at;
        all[count] = (struct connection){.socket = -1, .request = at, .request_size = end + 4 - at, .number = count};
        count++;
    }
}

static void read_hellos(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail("%s: %s", path, strerror(errno));
    hellos = calloc(count, sizeof *hellos);
    size_t room = 0;
    for (int index = 0; index < count; index++) {
        if (getline(&hellos[index], &room, file) < 0) fail("%s: too few lines", path);
        hellos[index][strcspn(hellos[index], "\n")] = 0;
        room = 0;
    }
    fclose(file);
}

int main(int argument_count, char **arguments) {
    if (argument_count < 3) fail("load PORT REQUESTS [HELLO]");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    listening_port = atoi(arguments[1]);
    read_requests(arguments[2]);
    hello = argument_count > 3 ? arguments[3] : NULL;
    if (hello && *hello == '@') read_hellos(hello + 1);
    read_buffer = malloc(READ_SIZE);
    left_at = calloc(count, sizeof *left_at);
    epoll = epoll_create1(0);
    static char line[MAX_LINE];
    struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = epoll, .events = POLLIN}};
    while (poll(sources, 2, -1) >= 0) {
        if (sources[1].revents) turn(0); /* pings want their answers between commands too */
        if (!sources[0].revents) continue;
        if (!fgets(line, sizeof line, stdin)) return 0;
        line[strcspn(line, "\n")] = 0;
        obey(line);
    }
    fail("poll: %s", strerror(errno));
}
