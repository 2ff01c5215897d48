/*
 * libopendkim's side of bench/dkim.ts: `opendkim sign|verify FOLDER MESSAGE SECONDS`.
 *
 * Feeds a message as a milter is fed it: field by field, and the body in chunks of 65,535 octets that are
 * read from the file as they are needed. FOLDER has the private key (key.pem) and the text of the key record
 * (record.txt).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <opendkim/dkim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65535, HEADER = 1 << 20 };

static char record[8192];
static char key[16384];

static void fail(const char* what) {
  fprintf(stderr, "opendkim: %s\n", what);
  exit(1);
}

static void read_text(const char* folder, const char* name, char* text, size_t size) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int file = open(path, O_RDONLY);
  ssize_t length = file < 0 ? -1 : read(file, text, size - 1);
  if (length < 0) fail(path);
  close(file);
  text[length] = '\0';
}

static DKIM_CBSTAT look_up(DKIM* dkim, DKIM_SIGINFO* signature, unsigned char* buffer, size_t size) {
  (void)dkim;
  (void)signature;
  snprintf((char*)buffer, size, "%s", record);
  return DKIM_CBSTAT_CONTINUE;
}

static DKIM* begin(DKIM_LIB* library, int sign) {
  DKIM_STAT status;
  unsigned char* id = (unsigned char*)"bench";
  DKIM* dkim = sign ? dkim_sign(library, id, NULL, (unsigned char*)key, (unsigned char*)"s",
                                (unsigned char*)"example.com", DKIM_CANON_RELAXED, DKIM_CANON_RELAXED,
                                DKIM_SIGN_RSASHA256, -1, &status)
                    : dkim_verify(library, id, NULL, &status);
  if (!dkim) fail("cannot begin");
  return dkim;
}

/* Feeds the fields of the header in `text`. Returns the offset of the body. */
static size_t feed_header(DKIM* dkim, char* text) {
  char* end = strstr(text, "\r\n\r\n");
  if (!end) fail("the header is too long");
  for (char* field = text; field < end + 2;) {
    char* next = field;
    do next = strstr(next, "\r\n") + 2;
    while (*next == ' ' || *next == '\t');
    if (dkim_header(dkim, (unsigned char*)field, (size_t)(next - 2 - field)) != DKIM_STAT_OK) fail("header");
    field = next;
  }
  return (size_t)(end + 4 - text);
}

static void run(DKIM_LIB* library, const char* path, int sign) {
  static char buffer[HEADER];
  DKIM* dkim = begin(library, sign);
  int file = open(path, O_RDONLY);
  ssize_t length = file < 0 ? -1 : read(file, buffer, CHUNK);
  if (length < 0) fail(path);
  buffer[length] = '\0';
  size_t start = feed_header(dkim, buffer);
  if (dkim_eoh(dkim) != DKIM_STAT_OK) fail("eoh");
  char* body = buffer + start;
  length -= (ssize_t)start;
  do {
    if (length > 0 && dkim_body(dkim, (unsigned char*)body, (size_t)length) != DKIM_STAT_OK) fail("body");
    body = buffer;
  } while ((length = read(file, buffer, CHUNK)) > 0);
  close(file);
  if (dkim_eom(dkim, NULL) != DKIM_STAT_OK) fail("the signature is not valid");
  if (sign) {
    unsigned char* field;
    size_t size;
    if (dkim_getsighdr_d(dkim, 16, &field, &size) != DKIM_STAT_OK) fail("no signature");
  }
  dkim_free(dkim);
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Runs for so many seconds of CPU, and once at least. Returns how often. */
static int repeat(DKIM_LIB* library, const char* path, int sign, double limit) {
  double begun = seconds(CLOCK_PROCESS_CPUTIME_ID);
  int passes = 0;
  do run(library, path, sign);
  while (++passes && seconds(CLOCK_PROCESS_CPUTIME_ID) - begun < limit);
  return passes;
}

/* The largest resident size of this process, in KiB. getrusage counts what its parent had before exec, too.
 */
static long peak(void) {
  static char status[8192];
  read_text("/proc/self", "status", status, sizeof status);
  char* found = strstr(status, "VmHWM:");
  return found ? atol(found + strlen("VmHWM:")) : 0;
}

int main(int argc, char** argv) {
  if (argc != 5) fail("usage: opendkim sign|verify FOLDER MESSAGE SECONDS");
  int sign = strcmp(argv[1], "sign") == 0;
  read_text(argv[2], "key.pem", key, sizeof key);
  read_text(argv[2], "record.txt", record, sizeof record);
  DKIM_LIB* library = dkim_init(NULL, NULL);
  if (!library || dkim_set_key_lookup(library, look_up) != DKIM_STAT_OK) fail("dkim_init");
  double limit = atof(argv[4]);
  repeat(library, argv[3], sign, limit / 2); /* a warm-up */
  double begun = seconds(CLOCK_MONOTONIC), busy = seconds(CLOCK_PROCESS_CPUTIME_ID);
  int passes = repeat(library, argv[3], sign, limit);
  double taken = seconds(CLOCK_MONOTONIC) - begun;
  busy = seconds(CLOCK_PROCESS_CPUTIME_ID) - busy;
  printf("{\"ms\": %.6f, \"cpuMs\": %.6f, \"peakKiB\": %ld}\n", taken * 1000 / passes, busy * 1000 / passes,
         peak());
  dkim_close(library);
  return 0;
}
