/* Load generator: HTTP/1.1 over TLS, straight to a server or through an HTTP proxy's CONNECT. One thread, epoll.
 *
 *   load PROXY|- SERVER HOST:PORT PATH KEY CONNECTIONS REQUESTS_PER_CONNECTION LIMIT SECONDS
 *
 * PROXY and SERVER are IPv4 address:port. KEY goes into the header x-api-key. REQUESTS_PER_CONNECTION 0 keeps each connection
 * for good: when each has had its first answer the program prints a line, and measures from then on. LIMIT 0 goes on for
 * SECONDS, else the run ends after LIMIT answers. Latency counts from sending the request, or from connect() where each request
 * has a connection of its own. Every answer must be a complete 200.
 *
 * REQUESTS_PER_CONNECTION "stream" asks once on each connection, a few of them at a time, for an answer that does not end: lines
 * "data: N", N being the monotonic clock in nanoseconds when the server wrote the line. When all have begun it prints a line,
 * lets a second pass and measures for SECONDS: how long each line was under way, and how long after the one before it came.
 *
 * Certificates are not verified here: whether a proxy's are good is checked once, before the load.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 16, MAX_SAMPLES = 1 << 22, EVENTS = 256, DIALS = 16 };

enum state { CONNECTING, PROXY_ANSWER, HANDSHAKE, ANSWER_HEAD, ANSWER_BODY };
enum chunk { NOT_CHUNKED, SIZE, SIZE_LINE, DATA, DATA_END, TRAILER, TRAILER_LINE };

struct connection {
    int fd;
    enum state state;
    SSL *ssl;
    double began;
    long requests;
    long long missing; /* octets of the body, or of the current chunk */
    enum chunk chunk;
    long long stamp; /* of the event that is being read; -1 outside of its digits */
    double heard;    /* when the last event came */
    long events;
    size_t filled;
    char buffer[BUFFER + 1];
};

static struct sockaddr_in peer;
static const char *host_name;
static char connect_request[512], request[2048];
static size_t connect_length, request_length;
static long per_connection, limit, answers, errors;
static long long octets;
static double deadline, *samples;
static int streaming, measuring, connections, dialled, started;
static struct connection *all;
static long gap_count;
static double *gaps;
static int poller;
static SSL_CTX *context;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int finished(void) { return now() >= deadline || (limit && answers >= limit); }

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(poller, operation, c->fd, &event);
}

static void hang_up(struct connection *c) {
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void dial(struct connection *c) {
    int on = 1;
    struct linger reset = {1, 0}; /* no TIME_WAIT: a run would use up the ports */
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    c->state = CONNECTING;
    c->requests = 0;
    c->filled = 0;
    c->began = now();
    connect(c->fd, (struct sockaddr *)&peer, sizeof peer);
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void fail(struct connection *c, const char *what) {
    if (errors++ < 3) fprintf(stderr, "%s: %.200s\n", what, c->filled ? c->buffer : strerror(errno));
    hang_up(c);
    if (!finished() && !streaming) dial(c);
}

static void send_request(struct connection *c) {
    if (per_connection != 1) c->began = now();
    if (SSL_write(c->ssl, request, (int)request_length) != (int)request_length) {
        fail(c, "request");
        return;
    }
    c->state = ANSWER_HEAD;
    c->filled = 0;
    c->requests++;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void shake_hands(struct connection *c) {
    if (!c->ssl) {
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_tlsext_host_name(c->ssl, host_name);
        SSL_set_connect_state(c->ssl);
        c->state = HANDSHAKE;
        c->filled = 0;
    }
    int outcome = SSL_do_handshake(c->ssl);
    if (outcome == 1) {
        send_request(c);
        return;
    }
    switch (SSL_get_error(c->ssl, outcome)) {
    case SSL_ERROR_WANT_READ: watch(c, EPOLL_CTL_MOD, EPOLLIN); break;
    case SSL_ERROR_WANT_WRITE: watch(c, EPOLL_CTL_MOD, EPOLLOUT); break;
    default: fail(c, "handshake");
    }
}

static void on_connected(struct connection *c) {
    socklen_t size = sizeof errno;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &errno, &size) || errno) {
        fail(c, "connect");
    } else if (!connect_length) {
        shake_hands(c);
    } else if (write(c->fd, connect_request, connect_length) != (ssize_t)connect_length) {
        fail(c, "CONNECT");
    } else {
        c->state = PROXY_ANSWER;
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    }
}

static void on_proxy_answer(struct connection *c) {
    ssize_t got = read(c->fd, c->buffer + c->filled, 4096 - c->filled);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        fail(c, "CONNECT");
        return;
    }
    c->filled += (size_t)got;
    c->buffer[c->filled] = 0;
    if (!strstr(c->buffer, "\r\n\r\n")) return;
    if (strncmp(c->buffer + 8, " 200", 4)) fail(c, "CONNECT");
    else shake_hands(c);
}

/* One octet of a chunked body outside of its data (RFC 9112 §7.1). 1 at the end of the body, -1 where it is malformed. */
static int framing(struct connection *c, char octet) {
    switch (c->chunk) {
    case SIZE: {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, octet | 0x20);
        if (octet == '\r' || octet == ';') c->chunk = SIZE_LINE;
        else if (digit) c->missing = c->missing * 16 + (digit - digits);
        else return -1;
        return 0;
    }
    case SIZE_LINE:
        if (octet == '\n') c->chunk = c->missing ? DATA : TRAILER;
        return 0;
    case DATA_END:
        if (octet == '\n') c->chunk = SIZE;
        return 0;
    case TRAILER:
        if (octet == '\n') return 1;
        if (octet != '\r') c->chunk = TRAILER_LINE;
        return 0;
    case TRAILER_LINE:
        if (octet == '\n') c->chunk = TRAILER;
        return 0;
    default: return -1;
    }
}

/* One octet of a stream of events. */
static void hear(struct connection *c, char octet) {
    if (octet == ' ') {
        c->stamp = 0;
    } else if (octet >= '0' && octet <= '9' && c->stamp >= 0) {
        c->stamp = c->stamp * 10 + (octet - '0');
    } else if (octet == '\n' && c->stamp > 0) {
        double here = now();
        if (measuring) {
            if (answers < MAX_SAMPLES) samples[answers] = here - (double)c->stamp * 1e-9;
            if (c->heard > 0 && gap_count < MAX_SAMPLES) gaps[gap_count++] = here - c->heard;
            c->events++;
            answers++;
        }
        c->heard = here;
        c->stamp = -1;
    }
}

/* 1 when the body is complete, 0 when more is to come, -1 where it is malformed. */
static int take_body(struct connection *c, const char *data, size_t length) {
    while (length) {
        if (c->chunk == NOT_CHUNKED || c->chunk == DATA) {
            size_t part = (long long)length < c->missing ? length : (size_t)c->missing;
            c->missing -= (long long)part;
            if (streaming)
                for (size_t i = 0; i < part; i++) hear(c, data[i]);
            data += part;
            length -= part;
            if (c->missing) return 0;
            if (c->chunk == NOT_CHUNKED) return length ? -1 : 1;
            c->chunk = DATA_END;
        } else {
            int outcome = framing(c, *data++);
            length--;
            if (outcome) return length ? -1 : outcome;
        }
    }
    return c->chunk == NOT_CHUNKED && !c->missing;
}

/* A stream has begun: the next may be dialled. */
static void begin_next(struct connection *c) {
    c->stamp = -1;
    started++;
    if (dialled < connections) dial(&all[dialled++]);
}

/* As take_body, for the head and what came with it. */
static int take_head(struct connection *c) {
    c->buffer[c->filled] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end) return c->filled == BUFFER ? -1 : 0;
    *end = 0;
    if (strncmp(c->buffer + 8, " 200", 4)) return -1;
    char *length = strcasestr(c->buffer, "\r\ncontent-length:");
    if (!length && !strcasestr(c->buffer, "\r\ntransfer-encoding: chunked")) return -1;
    c->missing = length ? atoll(length + 17) : 0;
    c->chunk = length ? NOT_CHUNKED : SIZE;
    c->state = ANSWER_BODY;
    if (streaming) begin_next(c);
    end += 4;
    return take_body(c, end, c->filled - (size_t)(end - c->buffer));
}

static void on_answer(struct connection *c) {
    for (;;) {
        size_t offset = c->state == ANSWER_HEAD ? c->filled : 0;
        int got = SSL_read(c->ssl, c->buffer + offset, (int)(BUFFER - offset));
        if (got <= 0) {
            if (SSL_get_error(c->ssl, got) != SSL_ERROR_WANT_READ) fail(c, "answer");
            return;
        }
        octets += got;
        c->filled = offset + (size_t)got;
        int outcome = c->state == ANSWER_HEAD ? take_head(c) : take_body(c, c->buffer, (size_t)got);
        if (outcome < 0 || (outcome && streaming)) {
            fail(c, "answer");
            return;
        }
        if (!outcome) continue;
        if (answers < MAX_SAMPLES) samples[answers] = now() - c->began;
        answers++;
        if (c->requests == 1) started++;
        if (finished()) {
            hang_up(c);
        } else if (per_connection && c->requests >= per_connection) {
            hang_up(c);
            dial(c);
        } else {
            send_request(c);
        }
        return;
    }
}

static void step(struct connection *c) {
    switch (c->state) {
    case CONNECTING: on_connected(c); break;
    case PROXY_ANSWER: on_proxy_answer(c); break;
    case HANDSHAKE: shake_hands(c); break;
    default: on_answer(c);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* In microseconds; ``values`` are sorted. */
static double quantile(const double *values, long count, double q) {
    return count ? values[(long)((double)(count - 1) * q)] * 1e6 : 0;
}

static void parse_address(char *text) {
    char *colon = strchr(text, ':');
    if (!colon) exit(2);
    *colon = 0;
    peer.sin_family = AF_INET;
    peer.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, text, &peer.sin_addr) != 1) exit(2);
}

/* Handles events until the deadline, and at most for ``longest`` seconds from now. */
static void go_on(double longest) {
    struct epoll_event events[EVENTS];
    double until = now() + longest;
    while (!finished() && now() < until) {
        int ready = epoll_wait(poller, events, EVENTS, 100);
        for (int i = 0; i < ready; i++)
            if (((struct connection *)events[i].data.ptr)->fd >= 0) step(events[i].data.ptr);
    }
}

static void say_begun(void) {
    puts("begun");
    fflush(stdout);
}

/* The seconds that it took. */
static double make_requests(double seconds) {
    double began = now();
    deadline = began + seconds + 60;
    for (int i = 0; i < connections; i++) dial(&all[i]);
    if (!per_connection) {
        while (started < connections && !errors && !finished()) go_on(0.01);
        answers = 0;
        octets = 0;
        say_begun();
        began = now();
    }
    deadline = began + seconds;
    go_on(seconds);
    return now() - began;
}

/* The seconds that were measured. */
static double listen_to_streams(double seconds) {
    deadline = now() + 60;
    while (dialled < connections && dialled < DIALS) dial(&all[dialled++]);
    while (started < connections && !errors && !finished()) go_on(0.1);
    if (started < connections) {
        errors += connections - started;
        return 0;
    }
    say_begun();
    deadline = now() + seconds + 1;
    go_on(1);
    measuring = 1;
    double began = now();
    go_on(seconds);
    return now() - began;
}

int main(int count, char **arguments) {
    if (count != 10) {
        fprintf(stderr, "usage: see the top of load.c\n");
        return 2;
    }
    int proxied = strcmp(arguments[1], "-") != 0;
    const char *authority = arguments[3];
    host_name = strndup(authority, strcspn(authority, ":"));
    if (proxied)
        connect_length = (size_t)snprintf(connect_request, sizeof connect_request,
                                          "CONNECT %s HTTP/1.1\r\nhost: %s\r\n\r\n", authority, authority);
    request_length = (size_t)snprintf(request, sizeof request,
                                      "GET %s HTTP/1.1\r\nhost: %s\r\nuser-agent: load\r\naccept: */*\r\n"
                                      "x-api-key: %s\r\n\r\n", arguments[4], authority, arguments[5]);
    parse_address(arguments[proxied ? 1 : 2]);
    connections = atoi(arguments[6]);
    streaming = !strcmp(arguments[7], "stream");
    per_connection = streaming ? 0 : atol(arguments[7]);
    limit = atol(arguments[8]);

    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x08http/1.1", 9);
    samples = malloc(sizeof *samples * MAX_SAMPLES);
    gaps = malloc(sizeof *gaps * MAX_SAMPLES);
    all = calloc((size_t)connections, sizeof *all);
    for (int i = 0; i < connections; i++) all[i].fd = -1;
    poller = epoll_create1(EPOLL_CLOEXEC);

    double seconds = streaming ? listen_to_streams(atof(arguments[9])) : make_requests(atof(arguments[9]));

    long fewest = answers;
    for (int i = 0; i < connections; i++)
        if (all[i].events < fewest) fewest = all[i].events;
    long kept = answers < MAX_SAMPLES ? answers : MAX_SAMPLES;
    qsort(samples, (size_t)kept, sizeof *samples, by_value);
    qsort(gaps, (size_t)gap_count, sizeof *gaps, by_value);
    printf("{\"answers\": %ld, \"errors\": %ld, \"seconds\": %.6f, \"octets\": %lld, \"p50_us\": %.1f, \"p99_us\": %.1f",
           answers, errors, seconds, octets, quantile(samples, kept, 0.5), quantile(samples, kept, 0.99));
    if (streaming)
        printf(", \"gap_p50_us\": %.1f, \"gap_p99_us\": %.1f, \"fewest\": %ld", quantile(gaps, gap_count, 0.5),
               quantile(gaps, gap_count, 0.99), fewest);
    printf("}\n");
    return 0;
}
