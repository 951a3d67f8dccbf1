// Loads an echo server from one thread: opens connections, keeps so many messages in flight on each, checks
// every byte that comes back, and prints what happened as one line of JSON. Whatever goes wrong is said on
// stderr and ends it with status 1; no phase takes longer than its patience.
//
//   load --port=P --pid=P [--connections=N] [--size=BYTES] [--depth=N] [--warm-up=S] [--seconds=S]
//   load --port=P --pid=P --connections=N --idle=S [--collect]
//
// With --depth=N, each answer is followed by another message; with --burst as well, N messages are sent
// together when the last N have been answered.
//
// Seconds are those of the server's processor time, so that a busy machine makes no sample shorter; by the
// clock it may take STRETCH times as long.
//
// The second form holds connections that do nothing, reads the memory of the server before and after, and
// then has each of them answer once; its seconds are those of the clock. With --collect the server gets a
// SIGUSR2, which asks it to collect garbage, before its memory is read, and once more at the end.

#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>

#include "process.h"
#include "traffic.h"

enum { OPEN_PATIENCE = 60, STRETCH = 3 };

struct options options = {.connections = 64, .size = 64, .depth = 1, .warm_up = 1, .seconds = 2};

static void on_alarm(int signal) {
  (void)signal;
  // Only the last resort, for a call that does not return: the loops watch the time themselves.
  static const char text[] = "load: out of time\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(1);
  _exit(1);
}

// Until the server has used so much processor time.
static void serve_for(double seconds) {
  enum { SLICE = 10000000 };
  uint64_t deadline = now() + (uint64_t)(STRETCH * seconds * 1e9);
  uint64_t enough = read_cpu_time(options.pid) + (uint64_t)(seconds * 1e9);
  while (now() < deadline && read_cpu_time(options.pid) < enough) serve_until(now() + SLICE);
}

static void read_server(struct cpu *cpu) {
  if (read_cpu(options.pid, cpu) != 0) fail("reading the processor time of process %d", options.pid);
}

static double seconds_between(const struct cpu *before, const struct cpu *after) {
  return (double)(after->nanoseconds - before->nanoseconds) / 1e9;
}

static void measure(void) {
  open_connections();
  phase = "warming up";
  start_messages();
  serve_for(options.warm_up);
  phase = "measuring";
  struct cpu before, after, own_before, own_after;
  histogram_clear(&latencies);
  answered = 0;
  read_cpu(getpid(), &own_before);
  read_server(&before);
  uint64_t start = now();
  serve_for(options.seconds);
  uint64_t elapsed = now() - start;
  read_server(&after);
  read_cpu(getpid(), &own_after);
  uint64_t messages = answered;
  struct histogram measured = latencies;
  phase = "ending";
  await_answers();
  double ticks = (double)(after.user - before.user + after.system - before.system);
  printf("{\"messages\":%llu,\"seconds\":%.6f,\"cpu\":%.6f,\"userShare\":%.4f,\"loadCpu\":%.6f,",
         (unsigned long long)messages, (double)elapsed / 1e9, seconds_between(&before, &after),
         ticks > 0 ? (double)(after.user - before.user) / ticks : 0,
         seconds_between(&own_before, &own_after));
  printf("\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f}\n", histogram_percentile(&measured, 50) / 1e3,
         histogram_percentile(&measured, 99) / 1e3, histogram_percentile(&measured, 99.9) / 1e3);
}

static void rest(double seconds) {
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  while (nanosleep(&time, &time) != 0) continue;
}

// The memory of the server after it had time to settle, and to collect garbage if it is asked to.
static long long settled_memory(bool collect) {
  if (collect) kill(options.pid, SIGUSR2);
  rest(options.idle);
  long long bytes = read_memory(options.pid);
  if (bytes < 0) fail("reading the memory of process %d", options.pid);
  return bytes;
}

static void hold_idle(void) {
  phase = "holding";
  options.depth = 1;
  long long before = settled_memory(options.collect);
  uint64_t start = now();
  open_connections();
  double opening = (double)(now() - start) / 1e9;
  phase = "holding";
  long long after = settled_memory(false);
  long long collected = options.collect ? settled_memory(true) : after;
  phase = "asking each";
  answered = 0;
  start_messages();
  await_answers();
  printf("{\"connections\":%d,\"answered\":%llu,\"opening\":%.3f,", options.connections,
         (unsigned long long)answered, opening);
  printf("\"before\":%lld,\"after\":%lld,\"collected\":%lld}\n", before, after, collected);
}

// ---- arguments

static double number_of(const char *text, double least) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != 0 || value < least)
    fail("expected a number of at least %g, got '%s'", least, text);
  return value;
}

static void read_options(int argc, char **argv) {
  static const struct option names[] = {
      {"port", required_argument, 0, 'p'},        {"pid", required_argument, 0, 'i'},
      {"connections", required_argument, 0, 'c'}, {"size", required_argument, 0, 's'},
      {"depth", required_argument, 0, 'd'},       {"warm-up", required_argument, 0, 'w'},
      {"seconds", required_argument, 0, 't'},     {"idle", required_argument, 0, 'h'},
      {"collect", no_argument, 0, 'g'},           {"burst", no_argument, 0, 'b'},
      {0, 0, 0, 0}};
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (name) {
      case 'p': options.port = (int)number_of(optarg, 1); break;
      case 'i': options.pid = (int)number_of(optarg, 1); break;
      case 'c': options.connections = (int)number_of(optarg, 1); break;
      case 's': options.size = (int)number_of(optarg, 1); break;
      case 'd': options.depth = (int)number_of(optarg, 1); break;
      case 'w': options.warm_up = number_of(optarg, 0); break;
      case 't': options.seconds = number_of(optarg, 0.001); break;
      case 'h': options.idle = number_of(optarg, 0); options.is_idle = true; break;
      case 'g': options.collect = true; break;
      case 'b': options.is_burst = true; break;
      default: exit(1);
    }
  }
  if (optind < argc) fail("what is '%s'?", argv[optind]);
  if (options.port == 0) fail("--port is missing");
  if (options.pid == 0) fail("--pid is missing");
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  signal(SIGALRM, on_alarm);
  double measuring = STRETCH * (options.warm_up + options.seconds) + 3 * options.idle;
  alarm((unsigned)(OPEN_PATIENCE + measuring + 2 * ANSWER_PATIENCE));
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prepare_traffic();
  if (options.is_idle) hold_idle();
  else measure();
  return 0;
}
