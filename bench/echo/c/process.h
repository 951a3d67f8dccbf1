// What the operating system knows of another process: the processor time of all its threads, those that
// have ended included, and the memory that it occupies.
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct cpu {
  uint64_t nanoseconds;     // exact, user and system together
  uint64_t user, system;    // the same in ticks of some milliseconds each: good for shares only
};

// Nanoseconds; 0 if there is no such process.
static inline uint64_t read_cpu_time(pid_t pid) {
  clockid_t clock;
  struct timespec time;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// -1 if there is no such process.
static inline int read_cpu(pid_t pid, struct cpu *cpu) {
  cpu->nanoseconds = read_cpu_time(pid);
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return -1;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  // The name stands in parentheses and may contain anything; eleven fields lie between it and the times.
  const char *rest = strrchr(text, ')');
  unsigned long user, system;
  if (rest == NULL ||
      sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
    return -1;
  cpu->user = user;
  cpu->system = system;
  return 0;
}

// Bytes of memory that stand in RAM for this process, shared pages in proportion; -1 if unknown.
static inline long long read_memory(pid_t pid) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return -1;
  long long kilobytes = -1;
  while (fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "Pss: %lld kB", &kilobytes) == 1) break;
  fclose(file);
  return kilobytes < 0 ? -1 : kilobytes * 1024;
}

#endif
