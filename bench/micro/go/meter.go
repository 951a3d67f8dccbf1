package main

import (
	"math"
	"sort"
	"syscall"
	"time"
)

// The policy of programs/meter.ts, in milliseconds of processor time.
const (
	sample   = 40.0
	warmUp   = 300.0
	tooShort = 8.0
	samples  = 5
	patience = 3000.0
)

type meter struct {
	cpu, wall  []float64
	count      int
	isCounting bool
	warmed     float64
	began      time.Time
	watch      stopwatch
}

// next ends the running sample and starts another; it gives the operations to perform, a multiple of
// grain, and 0 when there were enough samples.
func (m *meter) next(grain int) int {
	if m.count == 0 {
		m.began = time.Now()
		m.count = grain
	} else {
		cpu, wall := m.watch.lap()
		m.take(cpu, wall, grain)
	}
	if len(m.cpu) >= samples || (len(m.cpu) > 0 && milliseconds(time.Since(m.began)) > patience) {
		return 0
	}
	m.watch.lap()
	return m.count
}

func (m *meter) take(cpu, wall float64, grain int) {
	if m.isCounting {
		m.cpu = append(m.cpu, cpu*1e6/float64(m.count))
		m.wall = append(m.wall, wall*1e6/float64(m.count))
		return
	}
	m.warmed += cpu
	if cpu < tooShort {
		m.count *= 2
		return
	}
	m.count = grain * int(math.Max(1, math.Round(float64(m.count)*sample/cpu/float64(grain))))
	m.isCounting = m.warmed >= warmUp
}

func (m *meter) figures() figures {
	return figures{"cpu": median(m.cpu), "wall": median(m.wall)}
}

func median(values []float64) float64 {
	sorted := append([]float64{}, values...)
	sort.Float64s(sorted)
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// stopwatch gives milliseconds of processor time and wall time.
type stopwatch struct {
	cpu  float64
	wall time.Time
}

func (w *stopwatch) lap() (cpu, wall float64) {
	cpuNow, now := processorTime(), time.Now()
	cpu, wall = cpuNow-w.cpu, milliseconds(now.Sub(w.wall))
	w.cpu, w.wall = cpuNow, now
	return
}

func processorTime() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}
