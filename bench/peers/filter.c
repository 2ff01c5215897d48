/*
 * The benchmark's filter in C, on the same libmilter as all others.
 *
 *     filter SOCKET VARIANT WAIT BURN
 *
 * VARIANT is `plain`, `noreply` (every step without a reply), `headers` (headers and their end without a
 * reply, as this package negotiates by itself), `one-thread` (the same, with all handlers on one thread),
 * `one-thread-each` (and every event handed over by itself), `one-thread-in-place` (and each chunk of the
 * body by itself, without a copy), `one-thread-fresh` (and new memory for each message, with javascript.c
 * only), `one-thread-noreply` (no reply to anything but the body and its end, so that a message is handed
 * over once), `eom` (no other handler) or `noop` (no handler at all: the floor of
 * what libmilter itself takes). At the end of a message the filter sleeps WAIT milliseconds, uses BURN
 * milliseconds of CPU, and adds one header that tells what it has seen: "<headers> <body bytes>".
 */
#include "filter.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void (*change_handlers)(struct smfiDesc*) = NULL;

static unsigned long no_reply; /* SMFIP_NR_ bits */
static useconds_t wait_us;
static double burn_seconds;
static uint64_t turns_per_burn;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The same work in each language: so many turns of a 32-bit xorshift. */
static uint32_t work(uint64_t turns) {
  uint32_t x = 2463534242u;
  for (uint64_t i = 0; i < turns; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
  }
  return x;
}

static volatile uint32_t kept;

/* How many turns take that long on a CPU that does nothing else: the best of many tries counts. */
static uint64_t calibrate(double seconds) {
  const uint64_t turns = 20000;
  double best = 1e9;
  for (int i = 0; i < 2000; i++) {
    double begin = now();
    kept = work(turns);
    double took = now() - begin;
    if (took < best) best = took;
  }
  return (uint64_t)(seconds / best * (double)turns);
}

struct session* session_of(SMFICTX* ctx) {
  struct session* session = smfi_getpriv(ctx);
  if (session == NULL) {
    session = calloc(1, sizeof *session);
    smfi_setpriv(ctx, session);
  }
  return session;
}

/* The answer of a step: libmilter sends none where "no reply" was agreed. */
static sfsistat go_on(unsigned long step) { return no_reply & step ? SMFIS_NOREPLY : SMFIS_CONTINUE; }

static const unsigned long heading = SMFIP_NR_HDR | SMFIP_NR_EOH;
static const unsigned long all = SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT |
                                 SMFIP_NR_DATA | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_NR_UNKN;

static sfsistat on_negotiate(SMFICTX* ctx, unsigned long actions, unsigned long steps, unsigned long unused2,
                             unsigned long unused3, unsigned long* out_actions, unsigned long* out_steps,
                             unsigned long* out2, unsigned long* out3) {
  (void)ctx, (void)actions, (void)unused2, (void)unused3;
  /* The figures would not be those of this variant. */
  if ((steps & no_reply) != no_reply) return SMFIS_REJECT;
  *out_actions = SMFIF_ADDHDRS;
  *out_steps = no_reply;
  *out2 = *out3 = 0;
  return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX* ctx, char* host, _SOCK_ADDR* address) {
  (void)host, (void)address;
  session_of(ctx);
  return go_on(SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX* ctx, char* name) {
  (void)ctx, (void)name;
  return go_on(SMFIP_NR_HELO);
}

static sfsistat on_unknown(SMFICTX* ctx, const char* command) {
  (void)ctx, (void)command;
  return go_on(SMFIP_NR_UNKN);
}

static sfsistat on_envfrom(SMFICTX* ctx, char** arguments) {
  (void)arguments;
  struct session* session = session_of(ctx);
  const char* address = smfi_getsymval(ctx, "{mail_addr}");
  session->macro_length = address ? strlen(address) : 0;
  session->headers = 0;
  session->body = 0;
  return go_on(SMFIP_NR_MAIL);
}

static sfsistat on_envrcpt(SMFICTX* ctx, char** arguments) {
  (void)ctx, (void)arguments;
  return go_on(SMFIP_NR_RCPT);
}

static sfsistat on_data(SMFICTX* ctx) {
  (void)ctx;
  return go_on(SMFIP_NR_DATA);
}

static sfsistat on_eoh(SMFICTX* ctx) {
  (void)ctx;
  return go_on(SMFIP_NR_EOH);
}

static sfsistat on_header(SMFICTX* ctx, char* name, char* value) {
  (void)name, (void)value;
  session_of(ctx)->headers++;
  return go_on(SMFIP_NR_HDR);
}

static sfsistat on_body(SMFICTX* ctx, unsigned char* chunk, size_t length) {
  (void)chunk;
  session_of(ctx)->body += length;
  return go_on(SMFIP_NR_BODY);
}

static void labour(void) {
  if (wait_us > 0) usleep(wait_us);
  if (turns_per_burn > 0) kept = work(turns_per_burn);
}

static sfsistat on_eom(SMFICTX* ctx) {
  struct session* session = session_of(ctx);
  char seen[64];
  labour();
  snprintf(seen, sizeof seen, "%u %zu", session->headers, session->body);
  return smfi_addheader(ctx, "X-Bench", seen) == MI_SUCCESS ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

/* The variant `eom` has seen nothing that it could tell. */
static sfsistat on_eom_alone(SMFICTX* ctx) {
  labour();
  return smfi_addheader(ctx, "X-Seen", "yes") == MI_SUCCESS ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

static sfsistat on_abort(SMFICTX* ctx) {
  (void)ctx;
  return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX* ctx) {
  struct session* session = smfi_getpriv(ctx);
  if (session != NULL) end_task(session->task);
  free(session);
  smfi_setpriv(ctx, NULL);
  return SMFIS_CONTINUE;
}

int run_filter(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr,
            "usage: filter SOCKET "
            "plain|noreply|headers|one-thread|one-thread-each|one-thread-in-place|one-thread-fresh|"
            "one-thread-noreply|eom|noop WAIT BURN\n");
    return 2;
  }
  const char* variant = argv[2];
  if (strcmp(variant, "noreply") == 0) no_reply = all;
  const struct handover how = {
      .each = strcmp(variant, "one-thread-each") == 0,
      .silent = strcmp(variant, "one-thread-noreply") == 0,
      .in_place = strcmp(variant, "one-thread-in-place") == 0,
  };
  if (strcmp(variant, "headers") == 0 || strcmp(variant, "one-thread") == 0 || how.in_place ||
      strcmp(variant, "one-thread-fresh") == 0)
    no_reply = heading;
  if (how.silent) no_reply = all & ~(unsigned long)SMFIP_NR_BODY;
  wait_us = (useconds_t)(atof(argv[3]) * 1000);
  burn_seconds = atof(argv[4]) / 1000;
  if (burn_seconds > 0) turns_per_burn = calibrate(burn_seconds);
  struct smfiDesc filter = {.xxfi_name = "bench", .xxfi_version = SMFI_VERSION, .xxfi_flags = SMFIF_ADDHDRS};
  if (strcmp(variant, "eom") == 0) {
    filter.xxfi_eom = on_eom_alone;
  } else if (strcmp(variant, "noop") != 0) {
    filter.xxfi_connect = on_connect;
    filter.xxfi_helo = on_helo;
    filter.xxfi_envfrom = on_envfrom;
    filter.xxfi_envrcpt = on_envrcpt;
    filter.xxfi_data = on_data;
    filter.xxfi_header = on_header;
    filter.xxfi_eoh = on_eoh;
    filter.xxfi_body = on_body;
    filter.xxfi_eom = on_eom;
    filter.xxfi_abort = on_abort;
    filter.xxfi_close = on_close;
    filter.xxfi_unknown = on_unknown;
  }
  if (no_reply) filter.xxfi_negotiate = on_negotiate;
  if (change_handlers != NULL) change_handlers(&filter);
  if (strncmp(variant, "one-thread", 10) == 0) run_on_one_thread(&filter, how);
  if (smfi_register(filter) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS ||
      smfi_opensocket(1) != MI_SUCCESS) {
    fprintf(stderr, "filter: cannot listen on %s\n", argv[1]);
    return 1;
  }
  return smfi_main() == MI_SUCCESS ? 0 : 1;
}
