/*
 * A load generator: an MTA's side of the milter protocol, version 6, with one thread per connection. It
 * honours what was negotiated: steps left out, steps without a reply, headers with their leading space.
 *
 *     load -s unix:/path|inet:port@host [-c connections] [-m messages] [-h headers] [-b body bytes] [-p pause
 * ms] [-r messages a second] [-f]
 *
 * All connections open and negotiate first; then all begin at once. Each sends CONNECT and HELO, and its
 * messages: MAIL, RCPT, DATA, headers, end of headers, body in chunks of 65,535 bytes, end of message. Macros
 * are sent before CONNECT, HELO, MAIL, RCPT and the end of the message, as Sendmail does. A pause follows
 * each SMTP command: CONNECT, HELO, MAIL, RCPT, DATA and the final dot.
 *
 * With -f the first header is From.
 *
 * With -r the load is an open one: messages are due at that rate, all connections together, whether the
 * filter keeps up or not; the connections take turns.
 *
 * Prints one line of JSON: messages answered; seconds from the common start to the last reply (without
 * opening and negotiating); percentiles of the time from the final dot to its reply in ms; with -r those of
 * the time from the moment at which a message was due to its last reply (`whole50`, `whole99`); the headers
 * that the filter added; `wrong`, messages that were refused, or whose added X-Bench header is not "<headers>
 * <body bytes>"; `failed`, connections that broke. Exit code 1 if a connection failed or a message was wrong.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* SMFIC_ and SMFIP_ of libmilter/mfdef.h: the command, the bit that leaves it out, the bit that leaves out
 * its reply. */
struct step {
  char command;
  uint32_t no;
  uint32_t nr;
};
static const struct step CONNECT = {'C', 0x1, 0x1000}, HELO = {'H', 0x2, 0x2000}, MAIL = {'M', 0x4, 0x4000},
                         RCPT = {'R', 0x8, 0x8000}, DATA = {'T', 0x200, 0x10000}, HEADER = {'L', 0x20, 0x80},
                         EOH = {'N', 0x40, 0x40000}, BODY = {'B', 0x10, 0x80000}, EOM = {'E', 0, 0};

static struct {
  const char* socket;
  int connections, messages, headers, pause_ms;
  size_t body;
  int from;
  double rate;
} option = {NULL, 8, 100, 15, 0, 4096, 0, 0};

struct connection {
  pthread_t thread;
  int fd;
  uint32_t protocol;
  char* out; /* frames that wait for one write */
  size_t out_length, out_room;
  char* in;
  size_t in_room;
  int number;
  double* latency;
  double* whole; /* the same from the moment at which the message was due */
  int answered;  /* messages */
  int timed;     /* of those, the ones that reached their final dot */
  int added;     /* headers that the filter added to this message */
  int mistaken;  /* one of them does not match what was sent */
};

static pthread_barrier_t opened;
static pthread_barrier_t begun;
static double begin_time;
static atomic_int failures, wrong, added;
static char expected[64]; /* the value of X-Bench, if a filter adds it */
static char* body_bytes;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_socket(void) {
  const char* spec = option.socket;
  if (strncmp(spec, "unix:", 5) == 0) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, spec + 5, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    /* The queue of a filter that is slow may be full, and one that starts has the file a moment before it
     * listens. */
    for (int i = 0; connect(fd, (struct sockaddr*)&address, sizeof address) != 0; i++) {
      if ((errno != EAGAIN && errno != ECONNREFUSED) || i == 5000) return -1;
      usleep(1000);
    }
    return fd;
  }
  char port[16], host[256];
  if (sscanf(spec, "inet:%15[^@]@%255s", port, host) != 2 &&
      sscanf(spec, "inet6:%15[^@]@%255s", port, host) != 2)
    return -1;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  if (getaddrinfo(host, port, &hints, &found) != 0) return -1;
  int fd = socket(found->ai_family, SOCK_STREAM, 0);
  int failed = connect(fd, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  /* The filter is measured, not Nagle's algorithm on this side. */
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return failed ? -1 : fd;
}

static int flush(struct connection* c) {
  size_t done = 0;
  while (done < c->out_length) {
    ssize_t n = write(c->fd, c->out + done, c->out_length - done);
    if (n <= 0) return -1;
    done += (size_t)n;
  }
  c->out_length = 0;
  return 0;
}

/* As in an MTA, the buffer is small: a body without replies is written in pieces. */
#define MAX_BUFFERED 65536

static int put(struct connection* c, char command, const void* data, size_t length) {
  if (c->out_length + length + 5 > c->out_room) {
    c->out_room = c->out_length + length + 65536;
    c->out = realloc(c->out, c->out_room);
  }
  uint32_t size = htonl((uint32_t)length + 1);
  memcpy(c->out + c->out_length, &size, 4);
  c->out[c->out_length + 4] = command;
  if (length > 0) memcpy(c->out + c->out_length + 5, data, length);
  c->out_length += length + 5;
  return c->out_length > MAX_BUFFERED ? flush(c) : 0;
}

/* Writes the buffer and pauses between SMTP commands. */
static int pause_between(struct connection* c) {
  if (option.pause_ms == 0) return 0;
  if (flush(c) != 0) return -1;
  struct timespec t = {option.pause_ms / 1000, (option.pause_ms % 1000) * 1000000L};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) continue;
  return 0;
}

static int read_all(int fd, char* to, size_t length) {
  while (length > 0) {
    ssize_t n = read(fd, to, length);
    if (n <= 0) return -1;
    to += n;
    length -= (size_t)n;
  }
  return 0;
}

/* Reads one frame; returns its command, or -1. */
static int get(struct connection* c, size_t* length) {
  uint32_t size;
  if (read_all(c->fd, (char*)&size, 4) != 0) return -1;
  size = ntohl(size);
  if (size == 0 || size > (1u << 24)) return -1;
  if (size > c->in_room) c->in = realloc(c->in, c->in_room = size);
  if (read_all(c->fd, c->in, size) != 0) return -1;
  *length = size;
  return (unsigned char)c->in[0];
}

/* An added header: "name\0value\0". */
static void check_added(struct connection* c, size_t length) {
  static const char name[] = "X-Bench";
  c->added++;
  if (length < 2 + sizeof name || memcmp(c->in + 1, name, sizeof name) != 0) return;
  const char* value = c->in + 1 + sizeof name;
  size_t room = length - 1 - sizeof name;
  if (*value == ' ') value++, room--;
  if (strlen(expected) + 1 != room || memcmp(value, expected, room) != 0) c->mistaken = 1;
}

/* What a reply means for the message. */
enum { GO_ON = 0, NO_MORE_BODY, ACCEPTED, REFUSED, BROKEN = -1 };

/* Waits for the reply to a step; skips actions and progress before it. */
static int await(struct connection* c) {
  size_t length;
  if (flush(c) != 0) return BROKEN;
  for (;;) {
    switch (get(c, &length)) {
      case 'c':
        return GO_ON;
      case 's':
        return NO_MORE_BODY;
      case 'a':
        return ACCEPTED;
      case 'r':
      case 't':
      case 'd':
      case 'y':
        return REFUSED;
      case 'h':
        check_added(c, length);
        continue;
      case 'i':
      case 'm':
      case 'p':
      case 'b':
      case '+':
      case '-':
      case '2':
      case 'e':
      case 'q':
        continue;
      default:
        return BROKEN;
    }
  }
}

/* Sends the macros of a step, a list of "name\0value\0"; as MTAs do, even of a step that is left out. */
static int send_macros(struct connection* c, struct step step, const char* macros, size_t length) {
  char data[256];
  data[0] = step.command;
  memcpy(data + 1, macros, length);
  return put(c, 'D', data, length + 1);
}

/* Sends a step unless it was negotiated away, and waits unless "no reply" was negotiated. */
static int send_step(struct connection* c, struct step step, const void* data, size_t length) {
  if (c->protocol & step.no) return GO_ON;
  if (put(c, step.command, data, length) != 0) return BROKEN;
  if (c->protocol & step.nr) return GO_ON;
  return await(c);
}

/* A step with its macros, given as a string literal; its own final NUL ends the last value. */
#define SEND_WITH_MACROS(c, step, macros, data, length) \
  (send_macros(c, step, macros, sizeof(macros)) != 0 ? BROKEN : send_step(c, step, data, length))

static const uint32_t offered_actions = 0x1ff, offered_protocol = 0x1fffff, leading_space = 0x100000;

static int negotiate(struct connection* c) {
  uint32_t words[3] = {htonl(6), htonl(offered_actions), htonl(offered_protocol)}, agreed[3];
  size_t length;
  if (put(c, 'O', words, sizeof words) != 0 || flush(c) != 0) return -1;
  if (get(c, &length) != 'O' || length < 1 + sizeof agreed) return -1;
  memcpy(agreed, c->in + 1, sizeof agreed);
  if ((ntohl(agreed[1]) & ~offered_actions) || (ntohl(agreed[2]) & ~offered_protocol)) return -1;
  c->protocol = ntohl(agreed[2]);
  return 0;
}

static int send_headers(struct connection* c) {
  char header[256];
  const char* space = c->protocol & leading_space ? " " : "";
  int end = GO_ON;
  for (int i = 0; end == GO_ON && i < option.headers; i++) {
    int length = option.from && i == 0
                     ? sprintf(header, "From%c%sSender <sender@src.test>", 0, space)
                     : sprintf(header, "X-Header-%d%c%sthe value of header number %d, as long as many are", i,
                               0, space, i);
    end = send_step(c, HEADER, header, (size_t)length + 1);
  }
  return end;
}

static int send_body(struct connection* c) {
  int end = GO_ON;
  for (size_t at = 0; end == GO_ON && at < option.body; at += 65535) {
    size_t length = option.body - at < 65535 ? option.body - at : 65535;
    end = send_step(c, BODY, body_bytes + at, length);
  }
  return end == NO_MORE_BODY ? GO_ON : end;
}

/* The commands of a message, up to the reply that ends it. */
static int send_commands(struct connection* c) {
  static const char mail[] = "<sender@src.test>\0SIZE=4096", rcpt[] = "<rcpt@dest.test>";
  int end = SEND_WITH_MACROS(c, MAIL,
                             "i\0ABC123\0{mail_mailer}\0esmtp\0{mail_host}\0src.test\0"
                             "{mail_addr}\0sender@src.test",
                             mail, sizeof mail);
  if (end != GO_ON) return end;
  if (pause_between(c) != 0) return BROKEN;
  end = SEND_WITH_MACROS(c, RCPT, "{rcpt_mailer}\0esmtp\0{rcpt_host}\0dest.test\0{rcpt_addr}\0rcpt@dest.test",
                         rcpt, sizeof rcpt);
  if (end != GO_ON) return end;
  if (pause_between(c) != 0) return BROKEN;
  if ((end = send_step(c, DATA, NULL, 0)) != GO_ON) return end;
  if (pause_between(c) != 0) return BROKEN;
  if ((end = send_headers(c)) != GO_ON) return end;
  if ((end = send_step(c, EOH, NULL, 0)) != GO_ON) return end;
  if ((end = send_body(c)) != GO_ON) return end;
  double dot = now();
  end = SEND_WITH_MACROS(c, EOM, "{msg_id}\0<1@src.test>", NULL, 0);
  c->latency[c->timed++] = (now() - dot) * 1000;
  return end;
}

/* Waits until the next message of an open load is due; returns when that is. */
static double wait_until_due(const struct connection* c) {
  double due = begin_time + (c->answered * (double)option.connections + c->number) / option.rate;
  struct timespec t = {(time_t)due, (long)((due - (double)(time_t)due) * 1e9)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
  return due;
}

static int send_message(struct connection* c) {
  c->added = c->mistaken = 0;
  double due = option.rate > 0 ? wait_until_due(c) : 0;
  int end = send_commands(c);
  if (end == BROKEN) return BROKEN;
  c->whole[c->answered] = (now() - due) * 1000;
  c->answered++;
  if (end == REFUSED || c->mistaken)
    atomic_fetch_add(&wrong, 1);
  else
    atomic_fetch_add(&added, c->added);
  return pause_between(c);
}

static int greet(struct connection* c) {
  /* The name, the family, the port in two bytes, the address. */
  static const char client[] =
      "client.test\0"
      "4\0\0"
      "192.0.2.1";
  static const char hello[] = "client.test";
  int end = SEND_WITH_MACROS(c, CONNECT,
                             "j\0mta.test\0_\0client.test [192.0.2.1]\0{daemon_name}\0MTA\0"
                             "{if_name}\0mta.test",
                             client, sizeof client);
  if (end != GO_ON || pause_between(c) != 0) return BROKEN;
  end = send_step(c, HELO, hello, sizeof hello);
  return end == GO_ON && pause_between(c) == 0 ? GO_ON : BROKEN;
}

static void* run(void* argument) {
  struct connection* c = argument;
  c->fd = open_socket();
  int bad = c->fd < 0 || negotiate(c) != 0;
  pthread_barrier_wait(&opened);
  pthread_barrier_wait(&begun);
  bad = bad || greet(c) != 0;
  for (int i = 0; !bad && i < option.messages; i++) bad = send_message(c) != 0;
  bad = bad || put(c, 'Q', NULL, 0) != 0 || flush(c) != 0;
  if (bad) atomic_fetch_add(&failures, 1);
  if (c->fd >= 0) close(c->fd);
  return NULL;
}

static int by_value(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static double percentile(const double* sorted, size_t count, size_t percent) {
  return count > 0 ? sorted[count * percent / 100] : 0;
}

int main(int argc, char** argv) {
  int letter;
  while ((letter = getopt(argc, argv, "s:c:m:h:b:p:r:f")) != -1) {
    switch (letter) {
      case 's':
        option.socket = optarg;
        break;
      case 'c':
        option.connections = atoi(optarg);
        break;
      case 'm':
        option.messages = atoi(optarg);
        break;
      case 'h':
        option.headers = atoi(optarg);
        break;
      case 'b':
        option.body = strtoul(optarg, NULL, 10);
        break;
      case 'p':
        option.pause_ms = atoi(optarg);
        break;
      case 'r':
        option.rate = atof(optarg);
        break;
      case 'f':
        option.from = 1;
        break;
      default:
        option.socket = NULL;
        optind = argc;
        break;
    }
  }
  if (!option.socket || option.connections < 1 || option.messages < 1) {
    fprintf(stderr,
            "usage: load -s socket [-c connections] [-m messages] [-h headers] [-b body bytes] [-p pause ms] "
            "[-r rate] [-f]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN); /* a filter that closes the connection is counted */
  snprintf(expected, sizeof expected, "%d %zu", option.headers, option.body);
  body_bytes = malloc(option.body + 1);
  for (size_t i = 0; i < option.body; i++) body_bytes[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : 'x';
  struct connection* connections = calloc((size_t)option.connections, sizeof *connections);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 128 * 1024);
  pthread_barrier_init(&opened, NULL, (unsigned)option.connections + 1);
  pthread_barrier_init(&begun, NULL, (unsigned)option.connections + 1);
  for (int i = 0; i < option.connections; i++) {
    connections[i].number = i;
    connections[i].latency = calloc((size_t)option.messages, sizeof(double));
    connections[i].whole = calloc((size_t)option.messages, sizeof(double));
    if (pthread_create(&connections[i].thread, &small, run, &connections[i]) != 0) {
      fprintf(stderr, "load: cannot make thread %d\n", i);
      return 1;
    }
  }
  pthread_barrier_wait(&opened);
  // No connection sends anything before the clock has started, however late this thread is woken.
  begin_time = now();
  pthread_barrier_wait(&begun);
  for (int i = 0; i < option.connections; i++) pthread_join(connections[i].thread, NULL);
  double seconds = now() - begin_time;
  size_t answered = 0, timed = 0, room = (size_t)option.connections * (size_t)option.messages;
  double *latencies = calloc(room, sizeof(double)), *wholes = calloc(room, sizeof(double));
  for (int i = 0; i < option.connections; i++) {
    const struct connection* c = &connections[i];
    memcpy(wholes + answered, c->whole, (size_t)c->answered * sizeof(double));
    answered += (size_t)c->answered;
    memcpy(latencies + timed, c->latency, (size_t)c->timed * sizeof(double));
    timed += (size_t)c->timed;
  }
  qsort(latencies, timed, sizeof(double), by_value);
  qsort(wholes, answered, sizeof(double), by_value);
  printf("{\"messages\":%zu,\"seconds\":%.6f,\"perSecond\":%.1f,\"p50\":%.3f,\"p99\":%.3f,", answered,
         seconds, (double)answered / seconds, percentile(latencies, timed, 50),
         percentile(latencies, timed, 99));
  if (option.rate > 0)
    printf("\"whole50\":%.3f,\"whole99\":%.3f,", percentile(wholes, answered, 50),
           percentile(wholes, answered, 99));
  printf("\"added\":%d,\"wrong\":%d,\"failed\":%d}\n", atomic_load(&added), atomic_load(&wrong),
         atomic_load(&failures));
  return atomic_load(&failures) > 0 || atomic_load(&wrong) > 0;
}
