// Edge-triggered epoll, one thread, one buffer. A message is a stretch of a known sequence: nothing is copied
// to send it, and one comparison checks what comes back.

#define _GNU_SOURCE
#include "traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

// Every connection carries the same endless sequence of bytes from a place of its own. Its period is a prime,
// so that no two messages in a row are alike, whatever their size.
enum { PERIOD = 4099, CHUNK = 256 << 10, BATCH = 100, EVENTS = 1024 };

static char pattern[PERIOD + CHUNK];
static char received[CHUNK];

struct connection {
  int fd;
  uint32_t send_at, receive_at;  // places in the pattern
  uint32_t partial;              // bytes of the message that is arriving
  uint32_t oldest;               // the message that is answered next, an index into its times
  uint64_t unsent, awaited;      // bytes that the kernel has not taken; bytes that have not come back
  uint64_t *times;               // when each message in flight was begun, `depth` of them
};

const char *phase = "starting";
struct histogram latencies;
uint64_t answered;

static struct connection *connections;
static int epoll_fd;
static uint64_t in_flight;   // messages that have not come back
static bool is_ending;       // no new messages
static uint64_t last_event;  // when something happened

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " (%s, port %d, %d connections, %llu messages answered, %llu in flight)\n", phase,
          options.port, options.connections, (unsigned long long)answered, (unsigned long long)in_flight);
  exit(1);
}

uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void prepare_traffic(void) {
  uint32_t state = 12345;
  for (int i = 0; i < PERIOD; i++) pattern[i] = (char)((state = state * 1103515245 + 12345) >> 16);
  for (int i = PERIOD; i < PERIOD + CHUNK; i++) pattern[i] = pattern[i - PERIOD];
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
}

static void send_unsent(struct connection *conn) {
  while (conn->unsent > 0) {
    size_t length = conn->unsent < CHUNK ? conn->unsent : CHUNK;
    ssize_t sent = send(conn->fd, pattern + conn->send_at, length, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) return;
      fail("sending on connection %d: %s", (int)(conn - connections), strerror(errno));
    }
    conn->unsent -= (uint64_t)sent;
    conn->send_at = (uint32_t)((conn->send_at + (uint64_t)sent) % PERIOD);
  }
}

// Begins a message; its bytes go out with the next `send_unsent`.
static void begin_message(struct connection *conn, uint32_t index, uint64_t time) {
  conn->times[index] = time;
  conn->unsent += (uint64_t)options.size;
  conn->awaited += (uint64_t)options.size;
  in_flight++;
}

static void begin_messages(struct connection *conn, uint64_t time) {
  for (int i = 0; i < options.depth; i++) begin_message(conn, (uint32_t)i, time);
  conn->oldest = 0;
}

static void take_bytes(struct connection *conn, size_t length, uint64_t time) {
  int number = (int)(conn - connections);
  if (length > conn->awaited - conn->unsent) fail("connection %d got more bytes than were sent", number);
  if (memcmp(received, pattern + conn->receive_at, length) != 0)
    fail("connection %d got other bytes than were sent", number);
  conn->awaited -= length;
  conn->receive_at = (uint32_t)((conn->receive_at + length) % PERIOD);
  uint64_t arrived = conn->partial + length;
  while (arrived >= (uint64_t)options.size) {
    arrived -= (uint64_t)options.size;
    uint32_t index = conn->oldest;
    conn->oldest = index + 1 == (uint32_t)options.depth ? 0 : index + 1;
    histogram_record(&latencies, time - conn->times[index]);
    answered++;
    in_flight--;
    if (!is_ending && !options.is_burst) begin_message(conn, index, time);
  }
  conn->partial = (uint32_t)arrived;
  if (!is_ending && conn->awaited == 0) begin_messages(conn, time);
}

// Edge-triggered: a read that did not fill the buffer has emptied the socket, and what comes later is a new
// event, the end included.
static void receive_all(struct connection *conn) {
  ssize_t length;
  do {
    length = recv(conn->fd, received, CHUNK, 0);
    if (length == 0) fail("the server ended connection %d", (int)(conn - connections));
    if (length < 0) {
      if (errno == EAGAIN) break;
      fail("receiving on connection %d: %s", (int)(conn - connections), strerror(errno));
    }
    take_bytes(conn, (size_t)length, now());
  } while (length == CHUNK);
  send_unsent(conn);
}

// Serves events until the deadline, or until nothing is in flight.
void serve_until(uint64_t deadline) {
  static struct epoll_event events[EVENTS];
  for (uint64_t time = now(); time < deadline && in_flight > 0; time = now()) {
    int wait = (int)((deadline - time) / 1000000 + 1);
    int count = epoll_wait(epoll_fd, events, EVENTS, wait < 1000 ? wait : 1000);
    if (count < 0 && errno != EINTR) fail("waiting: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
      struct connection *conn = events[i].data.ptr;
      if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive_all(conn);
      else send_unsent(conn);
    }
    if (count > 0) last_event = time;
    else if (time - last_event > ANSWER_PATIENCE * 1000000000ull) fail("no byte for %d s", ANSWER_PATIENCE);
  }
}

void await_answers(void) {
  is_ending = true;
  serve_until(now() + ANSWER_PATIENCE * 1000000000ull);
  if (in_flight > 0) fail("not all messages were answered within %d s", ANSWER_PATIENCE);
}

void start_messages(void) {
  is_ending = false;
  for (int i = 0; i < options.connections; i++) {
    begin_messages(&connections[i], last_event = now());
    send_unsent(&connections[i]);
  }
}

static void open_connection(struct connection *conn) {
  int number = (int)(conn - connections);
  conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (conn->fd < 0) fail("opening socket %d: %s", number, strerror(errno));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0)
    fail("connecting socket %d: %s", number, strerror(errno));
  int on = 1;
  setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(conn->fd, F_SETFL, O_NONBLOCK);
  conn->send_at = conn->receive_at = (uint32_t)((uint64_t)number * 31 % PERIOD);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0)
    fail("watching socket %d: %s", number, strerror(errno));
}

// The last of each batch exchanges a message before the next batch begins: servers accept in order, so none
// waits in the server's backlog then, and the backlog never overflows.
void open_connections(void) {
  phase = "opening";
  uint64_t *times = calloc((size_t)options.connections * (size_t)options.depth, sizeof *times);
  connections = calloc((size_t)options.connections, sizeof *connections);
  if (times == NULL || connections == NULL) fail("out of memory");
  is_ending = true;
  for (int i = 0; i < options.connections; i++) {
    struct connection *conn = &connections[i];
    conn->times = times + (size_t)i * (size_t)options.depth;
    open_connection(conn);
    if (i % BATCH != BATCH - 1 && i != options.connections - 1) continue;
    begin_message(conn, 0, last_event = now());
    send_unsent(conn);
    await_answers();
  }
}
