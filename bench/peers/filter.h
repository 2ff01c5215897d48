/* What the parts of the benchmark's filter in C share. */
#pragma once
#include <libmilter/mfapi.h>
#include <stddef.h>

struct task;
struct object;

/* A connection, as libmilter's private data of its context. */
struct session {
  size_t macro_length;
  unsigned headers;
  size_t body;
  struct task* task;     /* one_thread.c's */
  struct object* object; /* javascript.c's */
};

struct session* session_of(SMFICTX* ctx);

/* What differs from this package in the way in which events are handed over. */
struct handover {
  int each;     /* one by one */
  int silent;   /* MAIL, RCPT and DATA go with the next event too */
  int in_place; /* a chunk of the body by itself, in libmilter's memory, while its thread waits */
};

/*
 * Moves a filter's handlers to one thread for all connections, which libmilter's threads hand their events to
 * and wait for: what every runtime with one interpreter does. As in this package, header, eoh and body are
 * copied and go with the next event, or when there are 256 KiB.
 */
void run_on_one_thread(struct smfiDesc* filter, struct handover how);
void end_task(struct task* task);

/* The memory that events of a session are copied to, and its size. */
char* task_bytes(SMFICTX* ctx, size_t* size);

/* Leaves that memory to the caller, who frees it. The events of the next message are copied elsewhere. */
void give_task_bytes(SMFICTX* ctx);

/*
 * Wakes the thread of the handlers where that is not one of one_thread.c's own: it has to call
 * run_next_task(), which returns 0 if there was none, until there is none left.
 */
extern void (*wake_handlers)(void);
int run_next_task(void);

/* Changes the handlers before they are registered, if it is set. */
extern void (*change_handlers)(struct smfiDesc*);

/* The program: takes its arguments, and returns its exit code. */
int run_filter(int argc, char** argv);
