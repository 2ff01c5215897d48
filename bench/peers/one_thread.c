#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

enum { FULL = 256 * 1024, LARGEST = 128 * 1024, EVENTS = 256 };

/* A header, an eoh or a chunk of a body, whose text lies in the errand's bytes. */
struct event {
  enum { HEADER, EOH, BODY } kind;
  size_t at;
  size_t length;
};

/* What a connection hands over: events that were put off, and the one that is waited for. */
struct errand {
  SMFICTX* ctx;
  struct event events[EVENTS];
  unsigned count;
  char* bytes;
  size_t used;
  sfsistat (*asked)(struct errand*); /* NULL: only what was put off */
  char* text;
  char** arguments;
  _SOCK_ADDR* address;

  struct errand* next;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int done; /* guarded by lock, as is the verdict */
  sfsistat verdict;
};

static struct smfiDesc handlers;
static int each;

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_changed = PTHREAD_COND_INITIALIZER;
static struct errand* first; /* guarded by queue_lock */
static struct errand** last = &first;

static struct errand* errand_of(SMFICTX* ctx) {
  struct session* session = session_of(ctx);
  if (session->errand == NULL) {
    struct errand* errand = calloc(1, sizeof *errand);
    errand->ctx = ctx;
    errand->bytes = malloc(FULL + LARGEST);
    pthread_mutex_init(&errand->lock, NULL);
    pthread_cond_init(&errand->changed, NULL);
    session->errand = errand;
  }
  return session->errand;
}

void end_errand(struct errand* errand) {
  if (errand == NULL) return;
  pthread_mutex_destroy(&errand->lock);
  pthread_cond_destroy(&errand->changed);
  free(errand->bytes);
  free(errand);
}

/* --- libmilter's threads */

static sfsistat hand_over(struct errand* errand, sfsistat (*asked)(struct errand*)) {
  errand->asked = asked;
  errand->done = 0;
  errand->next = NULL;
  pthread_mutex_lock(&queue_lock);
  *last = errand;
  last = &errand->next;
  pthread_mutex_unlock(&queue_lock);
  pthread_cond_signal(&queue_changed);
  pthread_mutex_lock(&errand->lock);
  while (!errand->done) pthread_cond_wait(&errand->changed, &errand->lock);
  pthread_mutex_unlock(&errand->lock);
  return errand->verdict;
}

static void copy(struct errand* errand, const void* bytes, size_t length) {
  memcpy(errand->bytes + errand->used, bytes, length);
  errand->used += length;
}

/* Puts an event off, if there is room for more after it. */
static sfsistat put_off(struct errand* errand, struct event event, sfsistat passive) {
  errand->events[errand->count++] = event;
  if (each || errand->used >= FULL || errand->count == EVENTS) return hand_over(errand, NULL);
  return passive;
}

static sfsistat header(SMFICTX* ctx, char* name, char* value) {
  struct errand* errand = errand_of(ctx);
  const struct event event = {HEADER, errand->used, strlen(name) + 1};
  copy(errand, name, event.length);
  copy(errand, value, strlen(value) + 1);
  return put_off(errand, event, SMFIS_NOREPLY);
}

static sfsistat eoh(SMFICTX* ctx) {
  return put_off(errand_of(ctx), (struct event){EOH, 0, 0}, SMFIS_NOREPLY);
}

static sfsistat body(SMFICTX* ctx, unsigned char* chunk, size_t length) {
  struct errand* errand = errand_of(ctx);
  const struct event event = {BODY, errand->used, length};
  copy(errand, chunk, length);
  return put_off(errand, event, SMFIS_CONTINUE);
}

static sfsistat ask_connect(struct errand* errand) {
  return handlers.xxfi_connect(errand->ctx, errand->text, errand->address);
}
static sfsistat ask_helo(struct errand* errand) { return handlers.xxfi_helo(errand->ctx, errand->text); }
static sfsistat ask_envfrom(struct errand* errand) {
  return handlers.xxfi_envfrom(errand->ctx, errand->arguments);
}
static sfsistat ask_envrcpt(struct errand* errand) {
  return handlers.xxfi_envrcpt(errand->ctx, errand->arguments);
}
static sfsistat ask_data(struct errand* errand) { return handlers.xxfi_data(errand->ctx); }
static sfsistat ask_eom(struct errand* errand) { return handlers.xxfi_eom(errand->ctx); }

static sfsistat connected(SMFICTX* ctx, char* host, _SOCK_ADDR* address) {
  errand_of(ctx)->text = host;
  errand_of(ctx)->address = address;
  return hand_over(errand_of(ctx), ask_connect);
}

static sfsistat helo(SMFICTX* ctx, char* name) {
  errand_of(ctx)->text = name;
  return hand_over(errand_of(ctx), ask_helo);
}

static sfsistat envfrom(SMFICTX* ctx, char** arguments) {
  errand_of(ctx)->arguments = arguments;
  return hand_over(errand_of(ctx), ask_envfrom);
}

static sfsistat envrcpt(SMFICTX* ctx, char** arguments) {
  errand_of(ctx)->arguments = arguments;
  return hand_over(errand_of(ctx), ask_envrcpt);
}

static sfsistat data(SMFICTX* ctx) { return hand_over(errand_of(ctx), ask_data); }

static sfsistat eom(SMFICTX* ctx) { return hand_over(errand_of(ctx), ask_eom); }

/* --- the one thread */

static sfsistat handle(struct errand* errand, const struct event* event) {
  char* const text = errand->bytes + event->at;
  switch (event->kind) {
    case HEADER:
      return handlers.xxfi_header(errand->ctx, text, text + event->length);
    case EOH:
      return handlers.xxfi_eoh(errand->ctx);
    default:
      return handlers.xxfi_body(errand->ctx, (unsigned char*)text, event->length);
  }
}

static void handle_all(struct errand* errand) {
  sfsistat verdict = SMFIS_CONTINUE;
  for (unsigned i = 0; i < errand->count; i++) verdict = handle(errand, &errand->events[i]);
  errand->count = 0;
  errand->used = 0;
  if (errand->asked != NULL) verdict = errand->asked(errand);
  pthread_mutex_lock(&errand->lock);
  errand->verdict = verdict;
  errand->done = 1;
  pthread_mutex_unlock(&errand->lock);
  pthread_cond_signal(&errand->changed);
}

static void* serve(void* unused) {
  (void)unused;
  for (;;) {
    pthread_mutex_lock(&queue_lock);
    while (first == NULL) pthread_cond_wait(&queue_changed, &queue_lock);
    struct errand* const errand = first;
    first = errand->next;
    if (first == NULL) last = &first;
    pthread_mutex_unlock(&queue_lock);
    handle_all(errand);
  }
  return NULL;
}

void run_on_one_thread(struct smfiDesc* filter, int one_by_one) {
  handlers = *filter;
  each = one_by_one;
  filter->xxfi_connect = connected;
  filter->xxfi_helo = helo;
  filter->xxfi_envfrom = envfrom;
  filter->xxfi_envrcpt = envrcpt;
  filter->xxfi_data = data;
  filter->xxfi_header = header;
  filter->xxfi_eoh = eoh;
  filter->xxfi_body = body;
  filter->xxfi_eom = eom;
  pthread_t thread;
  if (pthread_create(&thread, NULL, serve, NULL) != 0) abort();
}
