// Sockets on an epoll descriptor of our own, which Node's loop watches through one uv_poll_t. What it buys:
// a message costs one recv, one send and a share of one epoll_wait, as it would in C, and a share of one
// call into JavaScript.
//
//   Node's loop ──► on_ready ──► epoll_wait ──► read for those who asked ──► records ──► deliver (JavaScript)
//                      ▲                                                                    │ writes into `output`
//                      └── deliver again: who waits for its bytes to be sent, and failures ◄── flush: send
//
// C and JavaScript share these arrays, which JavaScript has made and C keeps alive. Neither calls the other to
// read or to write them:
//
//   flags    a byte a slot: may it be read, does somebody wait, is its output blocked
//   header   positions in the others, and what a call has to say beside its result
//   records  what happened, four numbers each: slot, generation, result, offset in `input`
//   input    the bytes that were read, each record's at its offset
//   pool     the same for few bytes: JavaScript hands out views of it and brings a new one in time
//   entries  what is to be sent, five numbers each: slot, generation, offset in `output`, length, next entry
//   output   the bytes to be sent
//
// Invariants. A slot is a descriptor. Closing it increments its generation, and whatever names a slot names the
// generation too: what is stale is an error (EBADF) or passed over, never another connection's. Each index and
// length that comes from JavaScript is checked here. Descriptors are watched edge-triggered from their birth to
// their end, so nothing is registered anew; READABLE and BLOCKED remember the edges.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // accept4
#endif

#include <node_api.h>

#ifndef __linux__

// Without `open`, whoever loads it knows that there is no epoll here.
NAPI_MODULE_INIT() {
  (void)env;
  return exports;
}

#else

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

// What a slot is.
enum { FREE, LISTENING, CONNECTING, OPEN };

// Flags of a slot; lib/reactor/epoll/addon.ts has the same.
enum {
  READABLE = 1,       // an edge has come, and no read since has found the end of what there is
  WANTED = 2,         // somebody waits for it to be readable
  LARGE = 4,          // it is only to be told so: the reader has a better place for the bytes than `input`
  HUNG_UP = 8,        // an end or an error is there: no further edge comes, so READABLE stays
  BLOCKED = 16,       // the kernel takes no more bytes for now
  SENT_WANTED = 32,   // somebody waits for its bytes to be sent
};

// Results in a record that are no count of bytes and no negated errno.
enum {
  SAYS_READABLE = -10001,   // it can be read, or accepted from
  SAYS_WRITABLE = -10002,   // the kernel takes bytes again
  SAYS_CONNECTED = -10003,  // the attempt has ended; the offset is its errno, 0 for success
  SAYS_SENT = -10004,       // its output was sent
  SAYS_BLOCKED = -10005,    // its output was sent in part; the offset is how many bytes
  SAYS_FAILED = -10006,     // its output could not be sent; the offset is the errno
};

// Places in `header`.
enum {
  ENTRIES_USED,   // entries that wait to be sent
  OUTPUT_USED,    // bytes of `output` that they take up
  FLUSHES,        // how often they have been sent: who wrote before the last time has nothing waiting
  IS_DELIVERING,  // what is written now will be sent without a further call
  POOL_USED,      // bytes of the pool that are given away
  HOLDS,          // how many keep the process alive
  GENERATION,     // of the slot that a call has returned
  MUST_DEFER,     // no user code is to run within this delivery
  HEADER_LENGTH,
};

enum {
  RECORD = 4,
  ENTRY = 5,
  EVENTS = 512,          // descriptors per epoll_wait
  ROUNDS = 4,            // epoll_waits per wake-up, so that Node's loop goes on
  DELIVERIES = 16,       // deliveries after a flush per wake-up, for the same reason
  READ_AT_MOST = 65536,
  READ_AT_LEAST = 16384, // room in `input` below which what is there is delivered first
  POOLED_AT_MOST = 1024, // bytes of a read that still go to the pool
  PIECES = 64,           // buffers per sendmsg
  ADDRESS_LENGTH = 128,
};

struct slot {
  uint32_t generation;
  uint8_t state;
  bool is_unix;
};

typedef struct {
  napi_env env;
  napi_async_context context;  // of nobody: null until the first delivery
  napi_ref deliver;  // the function that is called with a count of records
  napi_ref pooled;   // keeps the pool alive
  napi_ref arrays;   // keeps the memory below alive
  napi_async_cleanup_hook_handle cleanup;
  uv_poll_t *poll;   // null once it is being closed
  int epoll;
  bool is_held;      // the handle keeps the process alive
  uint32_t capacity;
  struct slot *slots;
  struct epoll_event events[EVENTS];
  uint8_t *flags;
  int32_t *header;
  int32_t *records;
  uint32_t records_capacity;
  uint32_t recorded;
  uint8_t *input;
  uint32_t input_length;
  uint32_t input_used;
  uint8_t *pool;
  uint32_t pool_length;
  bool is_pool_known;  // JavaScript has not run since the pool was found to be where it was
  int32_t *entries;
  uint32_t entries_capacity;
  uint8_t *output;
  uint32_t output_length;
  char *address;     // of the slot that a call has returned: family, port, host or path
} reactor;

// ---------------------------------------------------------------------------------------------------------
// Slots

static uint64_t name_of(const reactor *r, uint32_t slot) {
  return (uint64_t)r->slots[slot].generation << 32 | slot;
}

static bool is_live(const reactor *r, int64_t slot, int64_t generation) {
  return slot >= 0 && slot < r->capacity && r->slots[slot].state != FREE && r->slots[slot].generation == generation;
}

// What is watched names its generation, so whoever opens the same descriptor next is told apart.
static void forget(reactor *r, uint32_t slot) {
  r->slots[slot].state = FREE;
  r->slots[slot].generation = (r->slots[slot].generation + 1) & INT32_MAX;
  r->flags[slot] = 0;
}

// Takes a descriptor over; closes it if that fails. A slot, or a negated errno.
static int adopt(reactor *r, int fd, uint8_t state, bool is_unix) {
  if ((uint32_t)fd >= r->capacity) {
    close(fd);
    return -EMFILE;
  }
  struct slot *slot = &r->slots[fd];
  // Somebody else has closed our descriptor, and its number has come back: whoever holds it has lost it.
  if (slot->state != FREE) forget(r, (uint32_t)fd);
  struct epoll_event event = {.events = EPOLLET | EPOLLIN, .data.u64 = name_of(r, (uint32_t)fd)};
  if (state != LISTENING) event.events |= EPOLLOUT | EPOLLRDHUP;
  if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  slot->state = state;
  slot->is_unix = is_unix;
  r->flags[fd] = 0;
  r->header[GENERATION] = (int32_t)slot->generation;
  return fd;
}

// ---------------------------------------------------------------------------------------------------------
// Records, and their delivery

static void record(reactor *r, uint32_t slot, int32_t result, int32_t offset) {
  int32_t *at = r->records + (size_t)r->recorded * RECORD;
  at[0] = (int32_t)slot;
  at[1] = (int32_t)r->slots[slot].generation;
  at[2] = result;
  at[3] = offset;
  r->recorded++;
}

// The context (of AsyncLocalStorage) of what is delivered. It is made when libuv calls us, and not when the reactor
// is opened: that may happen in the context of a request, which all connections would be left in.
static bool has_context(reactor *r) {
  napi_value resource, name;
  return r->context != NULL || (napi_create_object(r->env, &resource) == napi_ok &&
                                napi_create_string_utf8(r->env, "skein", NAPI_AUTO_LENGTH, &name) == napi_ok &&
                                napi_async_init(r->env, resource, name, &r->context) == napi_ok);
}

// Calls into JavaScript with what was recorded; promises are continued before it returns.
static void deliver(reactor *r) {
  uint32_t count = r->recorded;
  r->input_used = 0;
  if (count == 0 || r->poll == NULL) return;
  r->recorded = 0;
  napi_env env = r->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value function, receiver, argument;
  r->header[IS_DELIVERING] = 1;
  if (has_context(r) && napi_get_reference_value(env, r->deliver, &function) == napi_ok &&
      napi_get_global(env, &receiver) == napi_ok && napi_create_uint32(env, count, &argument) == napi_ok &&
      napi_make_callback(env, r->context, receiver, function, 1, &argument, NULL) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  r->header[IS_DELIVERING] = 0;
  r->is_pool_known = false;
  napi_close_handle_scope(env, scope);
}

// ---------------------------------------------------------------------------------------------------------
// Sending

// As send and recv, which in a process of several threads first make themselves ready to be cancelled
// (pthread_cancel), and afterwards not: a twentieth of what they cost in user mode. Nobody cancels us.
static ssize_t send_now(int fd, const void *bytes, size_t length) {
#ifdef SYS_sendto
  return syscall(SYS_sendto, fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
#else
  return send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
#endif
}

static ssize_t receive_now(int fd, void *bytes, size_t length) {
#ifdef SYS_recvfrom
  return syscall(SYS_recvfrom, fd, bytes, length, MSG_DONTWAIT, NULL, NULL);
#else
  return recv(fd, bytes, length, MSG_DONTWAIT);
#endif
}

// Sends until all is sent or the kernel takes no more; counts what was sent. 0, EAGAIN or the error.
static int send_pieces(int fd, struct iovec *pieces, size_t count, size_t *sent) {
  while (count > 0) {
    ssize_t size;
    if (count == 1) {
      size = send_now(fd, pieces->iov_base, pieces->iov_len);
    } else {
      struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
      size = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (size < 0) {
      if (errno == EINTR) continue;
      return errno == EWOULDBLOCK ? EAGAIN : errno;
    }
    *sent += (size_t)size;
    for (size_t left = (size_t)size; count > 0;) {
      if (left < pieces->iov_len) {
        pieces->iov_base = (char *)pieces->iov_base + left;
        pieces->iov_len -= left;
        break;
      }
      left -= pieces->iov_len;
      pieces++;
      count--;
    }
  }
  return 0;
}

// The entries of one slot from `first` on, as pieces; the index of the first that found no room, 0 for none.
static uint32_t collect(reactor *r, uint32_t first, uint32_t used, struct iovec *pieces, size_t *count) {
  uint32_t index = first;
  for (*count = 0; *count < PIECES; (*count)++) {
    const int32_t *entry = r->entries + (size_t)index * ENTRY;
    int64_t offset = entry[2], length = entry[3], next = entry[4];
    if (offset < 0 || length < 0 || offset + length > r->output_length) return 0;
    pieces[*count] = (struct iovec){.iov_base = r->output + offset, .iov_len = (size_t)length};
    if (next <= index || next >= used) {
      (*count)++;
      return 0;
    }
    index = (uint32_t)next;
  }
  return index;
}

// Sends the entries of one slot; counts what was sent. 0, EAGAIN or the error.
static int send_chain(reactor *r, uint32_t first, uint32_t used, uint32_t slot, size_t *sent) {
  struct iovec pieces[PIECES];
  uint32_t from = first;
  for (;;) {
    size_t count;
    uint32_t next = collect(r, from, used, pieces, &count);
    int error = send_pieces((int)slot, pieces, count, sent);
    if (error != 0 || next == 0) return error;
    from = next;
  }
}

static void send_entries(reactor *r, uint32_t first, uint32_t used, uint32_t slot) {
  const int32_t *entry = r->entries + (size_t)first * ENTRY;
  int64_t offset = entry[2], length = entry[3];
  size_t sent = 0;
  int error;
  // Most slots have one entry: the way by the pieces is for the others.
  if (entry[4] == 0 && offset >= 0 && length >= 0 && offset + length <= r->output_length) {
    struct iovec piece = {.iov_base = r->output + offset, .iov_len = (size_t)length};
    error = send_pieces((int)slot, &piece, 1, &sent);
  } else {
    error = send_chain(r, first, used, slot, &sent);
  }
  if (error == EAGAIN) {
    r->flags[slot] |= BLOCKED;
    record(r, slot, SAYS_BLOCKED, (int32_t)sent);
  } else if (error != 0) {
    record(r, slot, SAYS_FAILED, error);
  } else if (r->flags[slot] & SENT_WANTED) {
    r->flags[slot] &= (uint8_t)~SENT_WANTED;
    record(r, slot, SAYS_SENT, 0);
  }
}

// Sends what was gathered in `output`, with one system call per connection. There is room for its records:
// they are no more than the entries.
static void flush(reactor *r) {
  uint32_t used = (uint32_t)r->header[ENTRIES_USED];
  if (used == 0) return;
  if (used > r->entries_capacity) used = r->entries_capacity;
  r->header[ENTRIES_USED] = 0;
  r->header[OUTPUT_USED] = 0;
  r->header[FLUSHES] = (int32_t)(((uint32_t)r->header[FLUSHES] + 1) & INT32_MAX);
  for (uint32_t index = 0; index < used; index++) {
    const int32_t *entry = r->entries + (size_t)index * ENTRY;
    // Not the first of its slot: it was sent with that.
    if (entry[0] < 0) continue;
    if (!is_live(r, entry[0], entry[1]) || r->slots[entry[0]].state != OPEN) continue;
    send_entries(r, index, used, (uint32_t)entry[0]);
  }
}

// Sends what the last delivery has written and delivers what came of it, until neither leaves anything.
static void settle(reactor *r) {
  for (int count = 0; r->poll != NULL; count++) {
    flush(r);
    if (r->recorded == 0) return;
    r->header[MUST_DEFER] = count >= DELIVERIES;
    deliver(r);
    r->header[MUST_DEFER] = 0;
  }
}

// ---------------------------------------------------------------------------------------------------------
// Receiving

static ssize_t receive(reactor *r, uint32_t slot, void *buffer, size_t length) {
  ssize_t size;
  do size = receive_now((int)slot, buffer, length);
  while (size < 0 && errno == EINTR);
  if (size < 0) {
    int error = errno == EWOULDBLOCK ? EAGAIN : errno;
    if (error == EAGAIN) r->flags[slot] &= (uint8_t)~READABLE;
    return -error;
  }
  // Fewer than were asked for are all there were. An end that came with them gives no second edge.
  if (size > 0 && (size_t)size < length && !(r->flags[slot] & HUNG_UP)) r->flags[slot] &= (uint8_t)~READABLE;
  return size;
}

// Those who were given views of the pool may transfer its memory to a worker, or away: then it is not to be
// written any more, and JavaScript brings a new one.
static void check_pool(reactor *r) {
  napi_handle_scope scope;
  napi_value value;
  napi_typedarray_type type;
  size_t length = 0;
  void *data = NULL;
  r->is_pool_known = true;
  if (r->pooled == NULL) return;
  if (napi_open_handle_scope(r->env, &scope) == napi_ok) {
    if (napi_get_reference_value(r->env, r->pooled, &value) != napi_ok ||
        napi_get_typedarray_info(r->env, value, &type, &length, &data, NULL, NULL) != napi_ok)
      length = 0;
    napi_close_handle_scope(r->env, scope);
  }
  if (data == r->pool && length == r->pool_length) return;
  r->pool_length = 0;
  r->header[POOL_USED] = INT32_MAX;
}

// Moves few bytes to the pool. Their offset there, inverted; or where they are, if there is no room.
static int32_t pooled(reactor *r, uint32_t offset, ssize_t size) {
  if (!r->is_pool_known) check_pool(r);
  uint32_t used = (uint32_t)r->header[POOL_USED];
  if (size <= 0 || size > POOLED_AT_MOST || used > r->pool_length || r->pool_length - used < (uint32_t)size)
    return (int32_t)offset;
  memcpy(r->pool + used, r->input + offset, (size_t)size);
  // The next one begins at a multiple of eight, as those that Node hands out do.
  r->header[POOL_USED] = (int32_t)((used + (uint32_t)size + 7) & ~7u);
  return ~(int32_t)used;
}

// For somebody who waits: reads, or says that it can be read.
static void answer_reader(reactor *r, uint32_t slot) {
  if (r->flags[slot] & LARGE) {
    r->flags[slot] &= (uint8_t)~WANTED;
    record(r, slot, SAYS_READABLE, 0);
    return;
  }
  if (r->input_length - r->input_used < READ_AT_LEAST) deliver(r);
  if (r->poll == NULL || !(r->flags[slot] & WANTED)) return;
  uint32_t room = r->input_length - r->input_used;
  ssize_t size = receive(r, slot, r->input + r->input_used, room < READ_AT_MOST ? room : READ_AT_MOST);
  if (size == -EAGAIN) return;
  r->flags[slot] &= (uint8_t)~WANTED;
  int32_t offset = pooled(r, r->input_used, size);
  record(r, slot, (int32_t)size, offset);
  if (size > 0 && offset >= 0) r->input_used += (uint32_t)size;
}

static void on_event(reactor *r, const struct epoll_event *event) {
  uint32_t slot = (uint32_t)event->data.u64, mask = event->events;
  if (!is_live(r, slot, (int64_t)(event->data.u64 >> 32))) return;
  uint8_t *flags = &r->flags[slot];
  if (r->slots[slot].state == CONNECTING) {
    if (!(mask & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt((int)slot, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error == 0) r->slots[slot].state = OPEN;
    record(r, slot, SAYS_CONNECTED, error);
    if (error != 0) return;
  }
  bool is_over = mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  if (is_over) *flags |= HUNG_UP;
  if (is_over || (mask & EPOLLIN)) {
    *flags |= READABLE;
    if (*flags & WANTED) {
      if (r->slots[slot].state == OPEN) {
        uint32_t generation = r->slots[slot].generation;
        answer_reader(r, slot);
        // A delivery may have closed it.
        if (r->poll == NULL || !is_live(r, slot, generation)) return;
      } else {
        *flags &= (uint8_t)~WANTED;
        record(r, slot, SAYS_READABLE, 0);
      }
    }
  }
  if ((*flags & BLOCKED) && (is_over || (mask & EPOLLOUT))) {
    *flags &= (uint8_t)~BLOCKED;
    record(r, slot, SAYS_WRITABLE, 0);
  }
}

// Keeps the process alive while somebody waits, and no longer (R8).
static void update_hold(reactor *r) {
  bool must_hold = r->header[HOLDS] > 0;
  if (r->poll == NULL || must_hold == r->is_held) return;
  r->is_held = must_hold;
  if (must_hold) uv_ref((uv_handle_t *)r->poll);
  else uv_unref((uv_handle_t *)r->poll);
}

static void on_ready(uv_poll_t *poll, int status, int mask) {
  reactor *r = poll->data;
  (void)status;
  (void)mask;
  r->is_pool_known = false;
  for (int round = 0; round < ROUNDS && r->poll != NULL; round++) {
    int count = epoll_wait(r->epoll, r->events, EVENTS, 0);
    for (int index = 0; index < count && r->poll != NULL; index++) {
      // An event makes three records at most: connected, readable and writable.
      if (r->recorded + 3 > r->records_capacity) deliver(r);
      on_event(r, &r->events[index]);
    }
    deliver(r);
    settle(r);
    if (count < EVENTS) break;
  }
  update_hold(r);
}

// ---------------------------------------------------------------------------------------------------------
// Addresses

static bool parse(const char *host, int port, struct sockaddr_storage *to, socklen_t *length) {
  memset(to, 0, sizeof *to);
  if (uv_ip4_addr(host, port, (struct sockaddr_in *)to) == 0) {
    *length = sizeof(struct sockaddr_in);
    return true;
  }
  *length = sizeof(struct sockaddr_in6);
  return uv_ip6_addr(host, port, (struct sockaddr_in6 *)to) == 0;
}

static bool parse_path(const char *path, size_t size, struct sockaddr_storage *to, socklen_t *length) {
  struct sockaddr_un *local = (struct sockaddr_un *)to;
  if (size == 0 || size >= sizeof local->sun_path) return false;
  memset(to, 0, sizeof *to);
  local->sun_family = AF_UNIX;
  memcpy(local->sun_path, path, size);
  *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
  return true;
}

// Leaves an address for JavaScript: the family (4, 6, or 1 for a path), the port in two bytes, the text's
// length, the text. An IPv4 address is left as its four bytes, since there may be ten thousand of them.
static void leave_address(reactor *r, const struct sockaddr_storage *from) {
  uint8_t *at = (uint8_t *)r->address;
  char *text = r->address + 4;
  memset(at, 0, 4);
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    at[0] = 4;
    memcpy(at + 1, &v4->sin_port, 2);
    at[3] = 4;
    memcpy(text, &v4->sin_addr, 4);
  } else if (from->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
    at[0] = 6;
    memcpy(at + 1, &v6->sin6_port, 2);
    uv_ip6_name(v6, text, ADDRESS_LENGTH - 4);
    // Without its zone a link-local address leads nowhere.
    if (v6->sin6_scope_id != 0) {
      size_t size = strlen(text), room = ADDRESS_LENGTH - 4 - size - 1;
      text[size] = '%';
      if (uv_if_indextoiid(v6->sin6_scope_id, text + size + 1, &room) != 0) text[size] = '\0';
    }
    at[3] = (uint8_t)strlen(text);
  } else {
    at[0] = 1;
  }
}

// ---------------------------------------------------------------------------------------------------------
// What JavaScript calls. Each returns a count or a slot, or a negated errno.

#define ARGUMENTS_AT_MOST 6

struct call {
  reactor *r;
  size_t count;
  napi_value argument[ARGUMENTS_AT_MOST];
};

static bool begin(napi_env env, napi_callback_info info, struct call *call, size_t count) {
  call->count = ARGUMENTS_AT_MOST;
  void *data;
  if (napi_get_cb_info(env, info, &call->count, call->argument, NULL, &data) != napi_ok) return false;
  call->r = data;
  if (call->count >= count && call->r->poll != NULL) return true;
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "expected more arguments, or an open reactor");
  return false;
}

static bool integer(napi_env env, napi_value value, int64_t *result) {
  if (napi_get_value_int64(env, value, result) == napi_ok) return true;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "expected a number");
  return false;
}

static napi_value give(napi_env env, int64_t result) {
  napi_value value = NULL;
  napi_create_int64(env, result, &value);
  return value;
}

// A text of at most `size - 1` bytes; its length, or -1.
static ssize_t text(napi_env env, napi_value value, char *buffer, size_t size) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "expected a string");
    return -1;
  }
  if (length >= size) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the text is too long");
    return -1;
  }
  napi_get_value_string_utf8(env, value, buffer, size, &length);
  return (ssize_t)length;
}

// The first two arguments as a slot in a given state; -1 if it is none (any more), and then `*failed` is what
// the call returns.
static int64_t slot_of(napi_env env, struct call *call, uint8_t state, napi_value *failed) {
  int64_t slot, generation;
  *failed = NULL;
  if (!integer(env, call->argument[0], &slot) || !integer(env, call->argument[1], &generation)) return -1;
  if (is_live(call->r, slot, generation) && (state == FREE || call->r->slots[slot].state == state)) return slot;
  *failed = give(env, -EBADF);
  return -1;
}

// A part of a buffer: arguments from `first` on are the buffer, the offset, the length.
static bool part(napi_env env, struct call *call, size_t first, uint8_t **bytes, size_t *size) {
  napi_typedarray_type type;
  size_t length;
  void *data;
  int64_t offset, wanted;
  if (napi_get_typedarray_info(env, call->argument[first], &type, &length, &data, NULL, NULL) != napi_ok ||
      (type != napi_uint8_array && type != napi_uint8_clamped_array)) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "expected a Uint8Array");
    return false;
  }
  if (!integer(env, call->argument[first + 1], &offset) || !integer(env, call->argument[first + 2], &wanted)) return false;
  if (offset < 0 || wanted < 0 || (uint64_t)offset > length || (uint64_t)wanted > length - (uint64_t)offset) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the part is not within the buffer");
    return false;
  }
  *bytes = (uint8_t *)data + offset;
  *size = (size_t)wanted;
  return true;
}

static void turn_on(int fd, int level, int option) {
  int on = 1;
  setsockopt(fd, level, option, &on, sizeof on);
}

static int keep_alive(int fd, int64_t seconds) {
  int on = seconds > 0, delay = seconds > INT16_MAX ? INT16_MAX : (int)seconds, every = 1, probes = 10;
  if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0) return -errno;
  if (!on) return 0;
  // A probe each second, and ten of them, as Node does it.
  if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &delay, sizeof delay) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes) != 0)
    return -errno;
  return 0;
}

// Parses (host, port) or (path, -1) out of the first two arguments. 0, a negated errno, or 1 if it threw.
static int endpoint(napi_env env, struct call *call, struct sockaddr_storage *to, socklen_t *length) {
  char buffer[1024];
  int64_t port;
  ssize_t size = text(env, call->argument[0], buffer, sizeof buffer);
  if (size < 0 || !integer(env, call->argument[1], &port)) return 1;
  if (port > 65535) return -EINVAL;
  if (port < 0) return parse_path(buffer, (size_t)size, to, length) ? 0 : -ENAMETOOLONG;
  return parse(buffer, (int)port, to, length) ? 0 : -EINVAL;
}

enum { IPV6_ONLY = 1, REUSE_PORT = 2 };

// listen(host, port, backlog, options) or listen(path, -1, backlog, 0): a slot. Leaves its address.
static napi_value listen_on(napi_env env, napi_callback_info info) {
  struct call call;
  struct sockaddr_storage to;
  socklen_t length;
  int64_t backlog, options;
  if (!begin(env, info, &call, 4) || !integer(env, call.argument[2], &backlog) ||
      !integer(env, call.argument[3], &options))
    return NULL;
  int error = endpoint(env, &call, &to, &length);
  if (error != 0) return error > 0 ? NULL : give(env, error);
  int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return give(env, -errno);
  if (to.ss_family != AF_UNIX) {
    turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
    int only = (options & IPV6_ONLY) != 0, on = 1;
    if (to.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) goto failed;
    if ((options & REUSE_PORT) && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) goto failed;
  }
  if (bind(fd, (struct sockaddr *)&to, length) != 0) goto failed;
  if (listen(fd, backlog < 1 ? 1 : backlog > INT32_MAX ? INT32_MAX : (int)backlog) != 0) goto failed;
  length = sizeof to;
  if (getsockname(fd, (struct sockaddr *)&to, &length) != 0) goto failed;
  leave_address(call.r, &to);
  return give(env, adopt(call.r, fd, LISTENING, to.ss_family == AF_UNIX));
failed:
  error = -errno;
  close(fd);
  return give(env, error);
}

// Errors that belong to one connection, which ended before it was accepted (accept(2) lists them).
static bool is_of_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

// accept(slot, generation): a slot; leaves the peer's address.
static napi_value accept_from(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  if (!begin(env, info, &call, 2)) return NULL;
  int64_t slot = slot_of(env, &call, LISTENING, &failed);
  if (slot < 0) return failed;
  struct sockaddr_storage from;
  int fd;
  // Whoever resets as it connects must not hold this up for ever: then the rest is left for later.
  for (int tries = 0;; tries++) {
    socklen_t length = sizeof from;
    memset(&from, 0, sizeof from.ss_family);
    fd = accept4((int)slot, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) break;
    int error = errno == EWOULDBLOCK ? EAGAIN : errno;
    if (error == EINTR || (is_of_connection(error) && tries < 1000)) continue;
    if (error == EAGAIN) call.r->flags[slot] &= (uint8_t)~READABLE;
    return give(env, -error);
  }
  bool is_unix = call.r->slots[slot].is_unix;
  if (is_unix) from.ss_family = AF_UNIX;
  leave_address(call.r, &from);
  return give(env, adopt(call.r, fd, OPEN, is_unix));
}

// connect(host, port) or connect(path, -1): a slot, whose record tells how the attempt has ended.
static napi_value connect_to(napi_env env, napi_callback_info info) {
  struct call call;
  struct sockaddr_storage to;
  socklen_t length;
  if (!begin(env, info, &call, 2)) return NULL;
  int error = endpoint(env, &call, &to, &length);
  if (error != 0) return error > 0 ? NULL : give(env, error);
  int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return give(env, -errno);
  int result;
  do result = connect(fd, (struct sockaddr *)&to, length);
  while (result != 0 && errno == EINTR);
  // An attempt that a signal interrupts goes on: then the second call finds it under way, or finished.
  if (result != 0 && errno != EINPROGRESS && errno != EALREADY && errno != EISCONN) {
    error = -errno;
    close(fd);
    return give(env, error);
  }
  // Watched from here on, and not before: a socket that does not connect yet counts as hung up.
  return give(env, adopt(call.r, fd, CONNECTING, to.ss_family == AF_UNIX));
}

// read(slot, generation, buffer, offset, length): bytes, 0 at the end.
static napi_value read_from(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  uint8_t *bytes;
  size_t size;
  if (!begin(env, info, &call, 5)) return NULL;
  int64_t slot = slot_of(env, &call, OPEN, &failed);
  if (slot < 0 || !part(env, &call, 2, &bytes, &size)) return failed;
  return give(env, receive(call.r, (uint32_t)slot, bytes, size));
}

// send(slot, generation, buffer, offset, length): bytes, fewer than given once the kernel takes no more.
static napi_value send_to(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  struct iovec piece;
  uint8_t *bytes;
  size_t sent = 0;
  if (!begin(env, info, &call, 5)) return NULL;
  int64_t slot = slot_of(env, &call, OPEN, &failed);
  if (slot < 0 || !part(env, &call, 2, &bytes, &piece.iov_len)) return failed;
  piece.iov_base = bytes;
  int error = send_pieces((int)slot, &piece, 1, &sent);
  if (error == EAGAIN) call.r->flags[slot] |= BLOCKED;
  return give(env, error != 0 && error != EAGAIN ? -error : (int64_t)sent);
}

// flush(): sends what `output` holds; a count of records.
static napi_value flush_all(napi_env env, napi_callback_info info) {
  struct call call;
  if (!begin(env, info, &call, 0)) return NULL;
  flush(call.r);
  // Read before anything else is recorded: JavaScript runs, so nobody else does.
  uint32_t count = call.r->recorded;
  call.r->recorded = 0;
  return give(env, count);
}

// shutdown(slot, generation): no more is written.
static napi_value shut_down(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  if (!begin(env, info, &call, 2)) return NULL;
  int64_t slot = slot_of(env, &call, OPEN, &failed);
  if (slot < 0) return failed;
  return give(env, shutdown((int)slot, SHUT_WR) == 0 ? 0 : -errno);
}

// close(slot, generation, isReset): on TCP a reset tells the peer.
static napi_value close_slot(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  int64_t is_reset;
  if (!begin(env, info, &call, 3) || !integer(env, call.argument[2], &is_reset)) return NULL;
  int64_t slot = slot_of(env, &call, FREE, &failed);
  if (slot < 0) return failed;
  if (is_reset && !call.r->slots[slot].is_unix) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt((int)slot, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  forget(call.r, (uint32_t)slot);
  close((int)slot);
  return give(env, 0);
}

// detach(slot, generation): the descriptor, which is the caller's from now on.
static napi_value detach(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  if (!begin(env, info, &call, 2)) return NULL;
  int64_t slot = slot_of(env, &call, OPEN, &failed);
  if (slot < 0) return failed;
  if (epoll_ctl(call.r->epoll, EPOLL_CTL_DEL, (int)slot, NULL) != 0) return give(env, -errno);
  forget(call.r, (uint32_t)slot);
  return give(env, slot);
}

// setNoDelay(slot, generation, isOn)
static napi_value set_no_delay(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  int64_t is_on;
  if (!begin(env, info, &call, 3) || !integer(env, call.argument[2], &is_on)) return NULL;
  int64_t slot = slot_of(env, &call, FREE, &failed);
  if (slot < 0) return failed;
  int on = is_on != 0;
  return give(env, setsockopt((int)slot, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 ? 0 : -errno);
}

// setKeepAlive(slot, generation, seconds); 0 turns it off.
static napi_value set_keep_alive(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  int64_t seconds;
  if (!begin(env, info, &call, 3) || !integer(env, call.argument[2], &seconds)) return NULL;
  int64_t slot = slot_of(env, &call, FREE, &failed);
  return slot < 0 ? failed : give(env, keep_alive((int)slot, seconds));
}

// address(slot, generation, isPeer): leaves the address.
static napi_value address_of(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value failed;
  int64_t is_peer;
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  if (!begin(env, info, &call, 3) || !integer(env, call.argument[2], &is_peer)) return NULL;
  int64_t slot = slot_of(env, &call, FREE, &failed);
  if (slot < 0) return failed;
  memset(&from, 0, sizeof from.ss_family);
  int result = is_peer ? getpeername((int)slot, (struct sockaddr *)&from, &length)
                       : getsockname((int)slot, (struct sockaddr *)&from, &length);
  if (result != 0) return give(env, -errno);
  leave_address(call.r, &from);
  return give(env, 0);
}

// queued(descriptor): bytes that the kernel holds for the peer: on TCP those that it has not acknowledged, on a Unix
// socket the memory of those that it has not read. Any descriptor may be asked of: one that was detached is no slot.
static napi_value queued_on(napi_env env, napi_callback_info info) {
  struct call call;
  int64_t descriptor;
  int size = 0;
  if (!begin(env, info, &call, 1) || !integer(env, call.argument[0], &descriptor)) return NULL;
  if (descriptor < 0 || descriptor > INT32_MAX) return give(env, -EBADF);
  // SIOCOUTQ, by the name that needs no headers of the kernel.
  return give(env, ioctl((int)descriptor, TIOCOUTQ, &size) == 0 ? size : -errno);
}

// silence(descriptor): milliseconds since the last acknowledgement of a TCP peer to whom the kernel repeats what it has, or
// whom it asks for room, in vain. 0 if it has not had to, -1 if the peer has all that it was sent.
static napi_value silence_on(napi_env env, napi_callback_info info) {
  struct call call;
  int64_t descriptor;
  int size = 0;
  struct tcp_info tcp;
  socklen_t length = sizeof tcp;
  if (!begin(env, info, &call, 1) || !integer(env, call.argument[0], &descriptor)) return NULL;
  if (descriptor < 0 || descriptor > INT32_MAX) return give(env, -EBADF);
  if (ioctl((int)descriptor, TIOCOUTQ, &size) != 0) return give(env, -errno);
  if (size == 0) return give(env, -1);
  memset(&tcp, 0, sizeof tcp);
  if (getsockopt((int)descriptor, IPPROTO_TCP, TCP_INFO, &tcp, &length) != 0) return give(env, -errno);
  if (tcp.tcpi_retransmits == 0 && tcp.tcpi_probes == 0) return give(env, 0);
  return give(env, tcp.tcpi_last_ack_recv == 0 ? 1 : tcp.tcpi_last_ack_recv);
}

// pool(bytes): where few bytes go from now on.
static napi_value set_pool(napi_env env, napi_callback_info info) {
  struct call call;
  napi_typedarray_type type;
  size_t length;
  void *data;
  napi_ref reference;
  if (!begin(env, info, &call, 1)) return NULL;
  if (napi_get_typedarray_info(env, call.argument[0], &type, &length, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array || length > READ_AT_MOST || napi_create_reference(env, call.argument[0], 1, &reference) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "expected a Uint8Array");
    return NULL;
  }
  reactor *r = call.r;
  if (r->pooled != NULL) napi_delete_reference(env, r->pooled);
  r->pooled = reference;
  r->pool = data;
  r->pool_length = (uint32_t)length;
  r->is_pool_known = true;
  r->header[POOL_USED] = 0;
  return NULL;
}

// hold(): keeps the process alive, or lets it end, as `header` says.
static napi_value hold(napi_env env, napi_callback_info info) {
  struct call call;
  if (begin(env, info, &call, 0)) update_hold(call.r);
  return NULL;
}

// ---------------------------------------------------------------------------------------------------------
// Birth and end

// Lets go of what is JavaScript's.
static void let_go(reactor *r) {
  if (r->context != NULL) napi_async_destroy(r->env, r->context);
  if (r->deliver != NULL) napi_delete_reference(r->env, r->deliver);
  if (r->arrays != NULL) napi_delete_reference(r->env, r->arrays);
  if (r->pooled != NULL) napi_delete_reference(r->env, r->pooled);
}

// The environment is ending, as a worker's does when it is terminated. The handle is part of Node's loop, so
// what it belongs to is freed only once that has let go of it.
static void on_closed(uv_handle_t *handle) {
  reactor *r = handle->data;
  if (r->cleanup != NULL) napi_remove_async_cleanup_hook(r->cleanup);
  free(r->slots);
  free(handle);
  free(r);
}

static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  reactor *r = data;
  uv_poll_t *poll = r->poll;
  (void)handle;
  r->poll = NULL;
  uv_poll_stop(poll);
  for (uint32_t slot = 0; slot < r->capacity; slot++)
    if (r->slots[slot].state != FREE) close((int)slot);
  close(r->epoll);
  let_go(r);
  uv_close((uv_handle_t *)poll, on_closed);
}

// One of the arrays that are shared, by its name.
static bool array(napi_env env, napi_value from, const char *name, napi_typedarray_type type, void **data,
                  uint32_t *length) {
  napi_value value;
  napi_typedarray_type actual;
  size_t count;
  if (napi_get_named_property(env, from, name, &value) != napi_ok ||
      napi_get_typedarray_info(env, value, &actual, &count, data, NULL, NULL) != napi_ok || actual != type ||
      count > INT32_MAX)
    return false;
  *length = (uint32_t)count;
  return true;
}

static bool share(napi_env env, reactor *r, napi_value arrays) {
  uint32_t header_length, records_length, entries_length, address_length;
  if (!array(env, arrays, "flags", napi_uint8_array, (void **)&r->flags, &r->capacity) ||
      !array(env, arrays, "header", napi_int32_array, (void **)&r->header, &header_length) ||
      !array(env, arrays, "records", napi_int32_array, (void **)&r->records, &records_length) ||
      !array(env, arrays, "input", napi_uint8_array, (void **)&r->input, &r->input_length) ||
      !array(env, arrays, "entries", napi_int32_array, (void **)&r->entries, &entries_length) ||
      !array(env, arrays, "output", napi_uint8_array, (void **)&r->output, &r->output_length) ||
      !array(env, arrays, "address", napi_uint8_array, (void **)&r->address, &address_length))
    return false;
  r->records_capacity = records_length / RECORD;
  r->entries_capacity = entries_length / ENTRY;
  return header_length >= HEADER_LENGTH && address_length >= ADDRESS_LENGTH && r->input_length >= READ_AT_MOST &&
         r->capacity > 0 && r->records_capacity >= 3 && r->records_capacity >= r->entries_capacity;
}

static bool define(napi_env env, napi_value object, const char *name, napi_callback function, reactor *r) {
  napi_value value;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, function, r, &value) == napi_ok &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

static bool define_all(napi_env env, napi_value object, reactor *r) {
  return define(env, object, "listen", listen_on, r) && define(env, object, "accept", accept_from, r) &&
         define(env, object, "connect", connect_to, r) && define(env, object, "read", read_from, r) &&
         define(env, object, "send", send_to, r) && define(env, object, "flush", flush_all, r) &&
         define(env, object, "shutdown", shut_down, r) && define(env, object, "close", close_slot, r) &&
         define(env, object, "detach", detach, r) && define(env, object, "setNoDelay", set_no_delay, r) &&
         define(env, object, "setKeepAlive", set_keep_alive, r) && define(env, object, "address", address_of, r) &&
         define(env, object, "queued", queued_on, r) && define(env, object, "silence", silence_on, r) && define(env, object, "pool", set_pool, r) &&
         define(env, object, "hold", hold, r);
}

// open(arrays, deliver): a reactor, whose methods are those above.
static napi_value open_reactor(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value argument[2], result = NULL;
  napi_valuetype type;
  uv_loop_t *loop;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok) return NULL;
  reactor *r = calloc(1, sizeof *r);
  uv_poll_t *poll = calloc(1, uv_handle_size(UV_POLL));
  if (r == NULL || poll == NULL || count < 2 || !share(env, r, argument[0]) ||
      napi_typeof(env, argument[1], &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "expected the arrays to share, and a function");
    goto failed;
  }
  r->env = env;
  r->slots = calloc(r->capacity, sizeof *r->slots);
  r->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (r->slots == NULL || r->epoll < 0 || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    napi_throw_error(env, "ERR_REACTOR", r->slots == NULL ? "out of memory" : strerror(errno));
    goto failed_with_epoll;
  }
  if (napi_create_object(env, &result) != napi_ok || !define_all(env, result, r) ||
      napi_create_reference(env, argument[1], 1, &r->deliver) != napi_ok ||
      napi_create_reference(env, argument[0], 1, &r->arrays) != napi_ok) {
    napi_throw_error(env, "ERR_REACTOR", "Node cannot take a reactor");
    goto failed_with_epoll;
  }
  int error = uv_poll_init(loop, poll, r->epoll);
  if (error != 0) {
    napi_throw_error(env, "ERR_REACTOR", uv_strerror(error));
    goto failed_with_epoll;
  }
  poll->data = r;
  r->poll = poll;
  if (napi_add_async_cleanup_hook(env, on_cleanup, r, &r->cleanup) != napi_ok) {
    // It stands in Node's loop already, which frees it.
    on_cleanup(NULL, r);
    napi_throw_error(env, "ERR_REACTOR", "Node cannot take a reactor");
    return NULL;
  }
  uv_poll_start(poll, UV_READABLE, on_ready);
  uv_unref((uv_handle_t *)poll);
  return result;
failed_with_epoll:
  let_go(r);
  if (r->epoll >= 0) close(r->epoll);
failed:
  if (r != NULL) free(r->slots);
  free(r);
  free(poll);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "open", NAPI_AUTO_LENGTH, open_reactor, NULL, &function) == napi_ok)
    napi_set_named_property(env, exports, "open", function);
  return exports;
}

#endif
