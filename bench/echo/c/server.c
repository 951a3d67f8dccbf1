// The limit: an echo server on epoll, edge-triggered, one thread, one buffer for all. It receives, sends what
// it got at once, and keeps only what the kernel does not take; until that is gone it reads no more of that
// client. `server SIZE` answers each SIZE bytes of a chunk by a send of its own.

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 64 << 10, EVENTS = 1024, BACKLOG = 4096 };

static char buffer[BUFFER];
static size_t reply_size = BUFFER;
static int epoll_fd, listener;

struct client {
  int fd;
  char *unsent;          // what the kernel did not take, NULL if nothing is left
  size_t start, length;  // of `unsent`
};

static void check(bool is_right, const char *what) {
  if (is_right) return;
  perror(what);
  exit(1);
}

static void drop(struct client *client) {
  close(client->fd);
  free(client->unsent);
  free(client);
}

// The bytes that the kernel took; -1 if the client is gone.
static ssize_t send_some(int fd, const char *bytes, size_t length) {
  size_t sent = 0;
  while (sent < length) {
    size_t part = length - sent < reply_size ? length - sent : reply_size;
    ssize_t taken = send(fd, bytes + sent, part, MSG_NOSIGNAL);
    if (taken >= 0) sent += (size_t)taken;
    else if (errno == EAGAIN) break;
    else return -1;
  }
  return (ssize_t)sent;
}

// False if the client is gone.
static bool send_unsent(struct client *client) {
  ssize_t sent = send_some(client->fd, client->unsent + client->start, client->length);
  if (sent < 0) return false;
  client->start += (size_t)sent;
  client->length -= (size_t)sent;
  if (client->length > 0) return true;
  free(client->unsent);
  client->unsent = NULL;
  return true;
}

static bool keep(struct client *client, const char *bytes, size_t length) {
  client->unsent = malloc(length);
  if (client->unsent == NULL) return false;
  memcpy(client->unsent, bytes, length);
  client->start = 0;
  client->length = length;
  return true;
}

// Until the socket is empty or the client takes no more; false if it is gone. A read that does not fill the
// buffer has emptied the socket, unless the end came with it: that gives no event of its own.
static bool echo(struct client *client, bool has_ended) {
  for (;;) {
    ssize_t length = recv(client->fd, buffer, BUFFER, 0);
    if (length == 0) return false;
    if (length < 0) return errno == EAGAIN;
    ssize_t sent = send_some(client->fd, buffer, (size_t)length);
    if (sent < 0) return false;
    if (sent < length) return keep(client, buffer + sent, (size_t)(length - sent));
    if (length < BUFFER && !has_ended) return true;
  }
}

static void on_event(struct client *client, uint32_t events) {
  if (client->unsent != NULL) {
    bool is_there = send_unsent(client);
    if (is_there && client->unsent != NULL) return;
    // What arrived while nothing was read gives no event again.
    if (!is_there || !echo(client, true)) drop(client);
    return;
  }
  if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP))) return;
  if (!echo(client, (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0)) drop(client);
}

static void accept_all(void) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      check(errno == EAGAIN, "accept4");
      return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct client *client = calloc(1, sizeof *client);
    check(client != NULL, "calloc");
    client->fd = fd;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = client};
    check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
  }
}

static void listen_on(int port) {
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(listener >= 0, "socket");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  check(bind(listener, (struct sockaddr *)&address, length) == 0, "bind");
  check(listen(listener, BACKLOG) == 0, "listen");
  check(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
  check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) == 0, "epoll_ctl");
  printf("listening on %d\n", ntohs(address.sin_port));
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc > 1) reply_size = strtoul(argv[1], NULL, 10);
  check(reply_size > 0, "the size of a reply");
  signal(SIGUSR2, SIG_IGN);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  check(epoll_fd >= 0, "epoll_create1");
  listen_on(0);
  static struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(epoll_fd, events, EVENTS, -1);
    check(count >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr == NULL) accept_all();
      else on_event(events[i].data.ptr, events[i].events);
    }
  }
}
