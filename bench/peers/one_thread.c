#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

enum { FULL = 256 * 1024, LARGEST = 128 * 1024, SIZE = FULL + LARGEST, EVENTS = 256, ARGUMENTS = 16 };

/* An event that was put off, whose text lies in the task's bytes. */
struct event {
  enum { ENVFROM, ENVRCPT, DATA, HEADER, EOH, BODY } kind;
  size_t at;
  size_t length;
};

/* What a connection hands over: events that were put off, and the one that is waited for. */
struct task {
  SMFICTX* ctx;
  struct event events[EVENTS];
  unsigned count;
  char* bytes;
  size_t used;
  sfsistat (*asked)(struct task*); /* NULL: only what was put off */
  char* text;
  char** arguments;
  _SOCK_ADDR* address;
  unsigned char* chunk;
  size_t length;

  struct task* next;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int done; /* guarded by lock, as is the verdict */
  sfsistat verdict;
};

void (*wake_handlers)(void) = NULL;

static struct smfiDesc handlers;
static int each;
static int silent;
static int in_place;
static void (*wake)(void);

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_changed = PTHREAD_COND_INITIALIZER;
static struct task* first; /* guarded by queue_lock */
static struct task** last = &first;

static struct task* task_of(SMFICTX* ctx) {
  struct session* session = session_of(ctx);
  if (session->task == NULL) {
    struct task* task = calloc(1, sizeof *task);
    task->ctx = ctx;
    task->bytes = malloc(SIZE);
    pthread_mutex_init(&task->lock, NULL);
    pthread_cond_init(&task->changed, NULL);
    session->task = task;
  }
  return session->task;
}

char* task_bytes(SMFICTX* ctx, size_t* size) {
  *size = SIZE;
  return task_of(ctx)->bytes;
}

void give_task_bytes(SMFICTX* ctx) { task_of(ctx)->bytes = malloc(SIZE); }

void end_task(struct task* task) {
  if (task == NULL) return;
  pthread_mutex_destroy(&task->lock);
  pthread_cond_destroy(&task->changed);
  free(task->bytes);
  free(task);
}

/* --- libmilter's threads */

static sfsistat hand_over(struct task* task, sfsistat (*asked)(struct task*)) {
  task->asked = asked;
  task->done = 0;
  task->next = NULL;
  pthread_mutex_lock(&queue_lock);
  const int was_empty = first == NULL;
  *last = task;
  last = &task->next;
  pthread_mutex_unlock(&queue_lock);
  if (was_empty) wake();
  pthread_mutex_lock(&task->lock);
  while (!task->done) pthread_cond_wait(&task->changed, &task->lock);
  pthread_mutex_unlock(&task->lock);
  return task->verdict;
}

static void copy(struct task* task, const void* bytes, size_t length) {
  memcpy(task->bytes + task->used, bytes, length);
  task->used += length;
}

/* Puts an event off, if there is room for more after it. */
static sfsistat put_off(struct task* task, struct event event, sfsistat passive) {
  task->events[task->count++] = event;
  if (each || task->used >= FULL || task->count == EVENTS) return hand_over(task, NULL);
  return passive;
}

static sfsistat put_off_arguments(struct task* task, struct event event, char** arguments) {
  event.at = task->used;
  for (unsigned i = 0; i < ARGUMENTS - 1 && arguments[i] != NULL; i++)
    copy(task, arguments[i], strlen(arguments[i]) + 1);
  event.length = task->used - event.at;
  return put_off(task, event, SMFIS_NOREPLY);
}

static sfsistat header(SMFICTX* ctx, char* name, char* value) {
  struct task* task = task_of(ctx);
  const struct event event = {HEADER, task->used, strlen(name) + 1};
  copy(task, name, event.length);
  copy(task, value, strlen(value) + 1);
  return put_off(task, event, SMFIS_NOREPLY);
}

static sfsistat eoh(SMFICTX* ctx) { return put_off(task_of(ctx), (struct event){EOH, 0, 0}, SMFIS_NOREPLY); }

static sfsistat ask_body(struct task* task) {
  return handlers.xxfi_body(task->ctx, task->chunk, task->length);
}

static sfsistat body(SMFICTX* ctx, unsigned char* chunk, size_t length) {
  struct task* task = task_of(ctx);
  if (in_place) {
    task->chunk = chunk;
    task->length = length;
    return hand_over(task, ask_body);
  }
  const struct event event = {BODY, task->used, length};
  copy(task, chunk, length);
  return put_off(task, event, SMFIS_CONTINUE);
}

static sfsistat ask_connect(struct task* task) {
  return handlers.xxfi_connect(task->ctx, task->text, task->address);
}
static sfsistat ask_helo(struct task* task) { return handlers.xxfi_helo(task->ctx, task->text); }
static sfsistat ask_envfrom(struct task* task) { return handlers.xxfi_envfrom(task->ctx, task->arguments); }
static sfsistat ask_envrcpt(struct task* task) { return handlers.xxfi_envrcpt(task->ctx, task->arguments); }
static sfsistat ask_data(struct task* task) { return handlers.xxfi_data(task->ctx); }
static sfsistat ask_eom(struct task* task) { return handlers.xxfi_eom(task->ctx); }

static sfsistat connected(SMFICTX* ctx, char* host, _SOCK_ADDR* address) {
  task_of(ctx)->text = host;
  task_of(ctx)->address = address;
  return hand_over(task_of(ctx), ask_connect);
}

static sfsistat helo(SMFICTX* ctx, char* name) {
  task_of(ctx)->text = name;
  return hand_over(task_of(ctx), ask_helo);
}

static sfsistat envfrom(SMFICTX* ctx, char** arguments) {
  if (silent) return put_off_arguments(task_of(ctx), (struct event){.kind = ENVFROM}, arguments);
  task_of(ctx)->arguments = arguments;
  return hand_over(task_of(ctx), ask_envfrom);
}

static sfsistat envrcpt(SMFICTX* ctx, char** arguments) {
  if (silent) return put_off_arguments(task_of(ctx), (struct event){.kind = ENVRCPT}, arguments);
  task_of(ctx)->arguments = arguments;
  return hand_over(task_of(ctx), ask_envrcpt);
}

static sfsistat data(SMFICTX* ctx) {
  if (silent) return put_off(task_of(ctx), (struct event){.kind = DATA}, SMFIS_NOREPLY);
  return hand_over(task_of(ctx), ask_data);
}

static sfsistat eom(SMFICTX* ctx) { return hand_over(task_of(ctx), ask_eom); }

/* --- the one thread */

/* The arguments of MAIL or RCPT, as libmilter passes them. */
static char** arguments_in(char* text, size_t length) {
  static char* list[ARGUMENTS];
  unsigned count = 0;
  for (char* const end = text + length; text < end; text += strlen(text) + 1) list[count++] = text;
  list[count] = NULL;
  return list;
}

static sfsistat handle(struct task* task, const struct event* event) {
  char* const text = task->bytes + event->at;
  switch (event->kind) {
    case ENVFROM:
      return handlers.xxfi_envfrom(task->ctx, arguments_in(text, event->length));
    case ENVRCPT:
      return handlers.xxfi_envrcpt(task->ctx, arguments_in(text, event->length));
    case DATA:
      return handlers.xxfi_data(task->ctx);
    case HEADER:
      return handlers.xxfi_header(task->ctx, text, text + event->length);
    case EOH:
      return handlers.xxfi_eoh(task->ctx);
    default:
      return handlers.xxfi_body(task->ctx, (unsigned char*)text, event->length);
  }
}

static void handle_all(struct task* task) {
  sfsistat verdict = SMFIS_CONTINUE;
  for (unsigned i = 0; i < task->count; i++) verdict = handle(task, &task->events[i]);
  task->count = 0;
  task->used = 0;
  if (task->asked != NULL) verdict = task->asked(task);
  pthread_mutex_lock(&task->lock);
  task->verdict = verdict;
  task->done = 1;
  pthread_mutex_unlock(&task->lock);
  pthread_cond_signal(&task->changed);
}

int run_next_task(void) {
  pthread_mutex_lock(&queue_lock);
  struct task* const task = first;
  if (task != NULL) first = task->next;
  if (first == NULL) last = &first;
  pthread_mutex_unlock(&queue_lock);
  if (task != NULL) handle_all(task);
  return task != NULL;
}

static void signal_thread(void) { pthread_cond_signal(&queue_changed); }

static void* serve(void* unused) {
  (void)unused;
  for (;;) {
    pthread_mutex_lock(&queue_lock);
    while (first == NULL) pthread_cond_wait(&queue_changed, &queue_lock);
    pthread_mutex_unlock(&queue_lock);
    run_next_task();
  }
  return NULL;
}

void run_on_one_thread(struct smfiDesc* filter, struct handover how) {
  handlers = *filter;
  each = how.each;
  silent = how.silent;
  in_place = how.in_place;
  filter->xxfi_connect = connected;
  filter->xxfi_helo = helo;
  filter->xxfi_envfrom = envfrom;
  filter->xxfi_envrcpt = envrcpt;
  filter->xxfi_data = data;
  filter->xxfi_header = header;
  filter->xxfi_eoh = eoh;
  filter->xxfi_body = body;
  filter->xxfi_eom = eom;
  wake = wake_handlers;
  if (wake != NULL) return;
  wake = signal_thread;
  pthread_t thread;
  if (pthread_create(&thread, NULL, serve, NULL) != 0) abort();
}
