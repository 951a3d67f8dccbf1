// The connections of the load generator and the messages on them.
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

struct options {
  int port, pid, connections, size, depth;
  double warm_up, seconds, idle;
  bool is_idle, collect, is_burst;
};

extern struct options options;
// What is being done, for messages of failure.
extern const char *phase;
extern struct histogram latencies;
// Messages that came back.
extern uint64_t answered;

enum { ANSWER_PATIENCE = 10 };

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now(void);

void prepare_traffic(void);
// Opens all connections; when it returns, the server has accepted them.
void open_connections(void);
// Puts `depth` messages into flight on each.
void start_messages(void);
// Answered messages are followed by others until the deadline; nothing more happens once nothing is in flight.
void serve_until(uint64_t deadline);
// Begins no further message, and waits for all that are in flight.
void await_answers(void);

#endif
