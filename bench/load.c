/*
 * An MTA's side of the milter protocol, as a load: one thread per connection, version 6, honours what was
 * negotiated.
 *
 *     load -s unix:/path|inet:port@host [-c connections] [-m messages] [-h headers] [-b body bytes] [-p pause
 * ms]
 *
 * Every connection opens and negotiates first; then all begin at once. Each sends CONNECT and HELO, and its
 * messages: MAIL, RCPT, DATA, headers, end of headers, body in chunks of 65,535 bytes, end of message;
 * `pause` stands between SMTP commands (after CONNECT, HELO, MAIL, RCPT, DATA and the final dot). Prints one
 * line of JSON: seconds from the common start to the last answer, percentiles of the time from the final dot
 * to its answer in ms, and what failed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
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
} option = {NULL, 8, 100, 15, 0, 4096};

struct connection {
  pthread_t thread;
  int fd;
  uint32_t protocol;
  char* out; /* frames that wait for one write */
  size_t out_length, out_room;
  char* in;
  size_t in_room;
  double* latency;
  int answered;
};

static pthread_barrier_t opened;
static atomic_int failures;
static char* body_bytes;
static double begin_time;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void rest(void) {
  if (option.pause_ms == 0) return;
  struct timespec t = {option.pause_ms / 1000, (option.pause_ms % 1000) * 1000000L};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) continue;
}

static int open_socket(void) {
  const char* spec = option.socket;
  if (strncmp(spec, "unix:", 5) == 0) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, spec + 5, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    /* A full queue of connections refuses; the filter is there, and slow. */
    for (int i = 0; connect(fd, (struct sockaddr*)&address, sizeof address) != 0; i++) {
      if (errno != EAGAIN || i == 5000) return -1;
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
  return failed ? -1 : fd;
}

static void put(struct connection* c, char command, const void* data, size_t length) {
  if (c->out_length + length + 5 > c->out_room) {
    c->out_room = c->out_length + length + 65536;
    c->out = realloc(c->out, c->out_room);
  }
  uint32_t size = htonl((uint32_t)length + 1);
  memcpy(c->out + c->out_length, &size, 4);
  c->out[c->out_length + 4] = command;
  if (length > 0) memcpy(c->out + c->out_length + 5, data, length);
  c->out_length += length + 5;
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

/* Waits for a step's answer; actions and progress before it are read over. 0: go on. 1: the message has
 * ended. */
static int await(struct connection* c) {
  size_t length;
  if (flush(c) != 0) return -1;
  for (;;) {
    switch (get(c, &length)) {
      case 'c':
        return 0;
      case 'a':
      case 's':
        return 1;
      case 'h':
      case 'i':
      case 'm':
      case 'p':
      case 'b':
      case '+':
      case '-':
      case 'e':
      case 'q':
        continue;
      default:
        return -1;
    }
  }
}

/* Sends a step unless it was negotiated away, and waits unless "no reply" was agreed. */
static int send_step(struct connection* c, struct step step, const void* data, size_t length) {
  if (c->protocol & step.no) return 0;
  put(c, step.command, data, length);
  if (c->protocol & step.nr) return 0;
  return await(c);
}

static int negotiate(struct connection* c) {
  uint32_t words[3] = {htonl(6), htonl(0x1ff), htonl(0x1fffff)};
  size_t length;
  put(c, 'O', words, sizeof words);
  if (flush(c) != 0 || get(c, &length) != 'O' || length < 13) return -1;
  memcpy(&c->protocol, c->in + 9, 4);
  c->protocol = ntohl(c->protocol);
  return 0;
}

static int send_message(struct connection* c) {
  int end = send_step(c, MAIL, "<sender@src.test>\0SIZE=4096", 28);
  rest();
  if (end == 0) end = send_step(c, RCPT, "<rcpt@dest.test>", 17);
  rest();
  if (end == 0) end = send_step(c, DATA, NULL, 0);
  rest();
  char header[256];
  for (int i = 0; end == 0 && i < option.headers; i++) {
    int length = sprintf(header, "X-Header-%d%cthe value of header number %d, as long as many are", i, 0, i);
    end = send_step(c, HEADER, header, (size_t)length + 1);
  }
  if (end == 0) end = send_step(c, EOH, NULL, 0);
  for (size_t at = 0; end == 0 && at < option.body; at += 65535) {
    size_t length = option.body - at < 65535 ? option.body - at : 65535;
    end = send_step(c, BODY, body_bytes + at, length);
  }
  if (end < 0) return end;
  double dot = now();
  end = send_step(c, EOM, NULL, 0);
  c->latency[c->answered++] = (now() - dot) * 1000;
  rest();
  return end;
}

static void* run(void* argument) {
  struct connection* c = argument;
  c->fd = open_socket();
  int bad = c->fd < 0 || negotiate(c) != 0;
  pthread_barrier_wait(&opened);
  char hello[64] =
      "client.test\0"
      "4\0\0"
      "192.0.2.1";
  if (!bad) bad = send_step(c, CONNECT, hello, 12 + 3 + 10) < 0;
  rest();
  if (!bad) bad = send_step(c, HELO, "client.test", 12) < 0;
  rest();
  for (int i = 0; !bad && i < option.messages; i++) bad = send_message(c) < 0;
  if (bad) {
    atomic_fetch_add(&failures, 1);
  } else {
    put(c, 'Q', NULL, 0);
    flush(c);
  }
  if (c->fd >= 0) close(c->fd);
  return NULL;
}

static int by_value(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  int letter;
  while ((letter = getopt(argc, argv, "s:c:m:h:b:p:")) != -1) {
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
      default:
        option.socket = NULL;
        optind = argc;
        break;
    }
  }
  if (!option.socket || option.connections < 1 || option.messages < 1) {
    fprintf(
        stderr,
        "usage: load -s socket [-c connections] [-m messages] [-h headers] [-b body bytes] [-p pause ms]\n");
    return 2;
  }
  body_bytes = malloc(option.body + 1);
  for (size_t i = 0; i < option.body; i++) body_bytes[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : 'x';
  struct connection* connections = calloc((size_t)option.connections, sizeof *connections);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 128 * 1024);
  pthread_barrier_init(&opened, NULL, (unsigned)option.connections + 1);
  for (int i = 0; i < option.connections; i++) {
    connections[i].latency = calloc((size_t)option.messages, sizeof(double));
    if (pthread_create(&connections[i].thread, &small, run, &connections[i]) != 0) {
      fprintf(stderr, "load: cannot make thread %d\n", i);
      return 1;
    }
  }
  pthread_barrier_wait(&opened);
  begin_time = now();
  for (int i = 0; i < option.connections; i++) pthread_join(connections[i].thread, NULL);
  double seconds = now() - begin_time;
  size_t total = 0;
  double* all = calloc((size_t)option.connections * (size_t)option.messages, sizeof(double));
  for (int i = 0; i < option.connections; i++) {
    memcpy(all + total, connections[i].latency, (size_t)connections[i].answered * sizeof(double));
    total += (size_t)connections[i].answered;
  }
  qsort(all, total, sizeof(double), by_value);
  printf("{\"messages\":%zu,\"seconds\":%.6f,\"perSecond\":%.1f,\"p50\":%.3f,\"p99\":%.3f,\"failed\":%d}\n",
         total, seconds, (double)total / seconds, total ? all[total / 2] : 0,
         total ? all[total * 99 / 100] : 0, atomic_load(&failures));
  return atomic_load(&failures) > 0;
}
