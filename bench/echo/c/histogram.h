// Durations in nanoseconds, counted in buckets that are linear within each power of two: a percentile is
// off by at most one part in SUB_BUCKETS, and recording costs a shift and an addition.
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <string.h>

enum { SUB_BITS = 6, SUB_BUCKETS = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) * SUB_BUCKETS };

struct histogram {
  uint64_t total;
  uint64_t counts[BUCKETS];
};

// Values below 2 * SUB_BUCKETS have buckets of their own; above, a bucket keeps the SUB_BITS bits below the
// highest one.
static inline int bucket_of(uint64_t value) {
  int shift = 63 - __builtin_clzll(value | SUB_BUCKETS) - SUB_BITS;
  return shift * SUB_BUCKETS + (int)(value >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t value) {
  histogram->counts[bucket_of(value)]++;
  histogram->total++;
}

static inline void histogram_clear(struct histogram *histogram) { memset(histogram, 0, sizeof *histogram); }

// The middle of the bucket below which, or in which, the given part of all values lies.
static inline double histogram_percentile(const struct histogram *histogram, double percent) {
  double wanted = (double)histogram->total * percent / 100;
  uint64_t passed = 0;
  for (int bucket = 0; bucket < BUCKETS; bucket++) {
    passed += histogram->counts[bucket];
    if (passed == 0 || (double)passed < wanted) continue;
    if (bucket < 2 * SUB_BUCKETS) return bucket;
    int shift = bucket / SUB_BUCKETS - 1;
    uint64_t lowest = (uint64_t)(bucket - shift * SUB_BUCKETS) << shift;
    return (double)lowest + (double)((1ull << shift) - 1) / 2;
  }
  return 0;
}

#endif
