package main

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// duration is that of programs/fixtures.ts.
func duration(i int) time.Duration {
	return time.Duration(60_000+3600*((i*7919)%1000)) * time.Millisecond
}

// Each sleeper has a channel of its own to be cancelled by: less than a context each.
func sleepCancel(m *meter) figures {
	var group sync.WaitGroup
	cancel := make([]chan struct{}, batch)
	for n := m.next(batch); n > 0; n = m.next(batch) {
		for done := 0; done < n; done += batch {
			group.Add(batch)
			for i := range cancel {
				cancelled := make(chan struct{})
				cancel[i] = cancelled
				go func(d time.Duration) {
					timer := time.NewTimer(d)
					select {
					case <-timer.C:
					case <-cancelled:
						timer.Stop()
					}
					group.Done()
				}(duration(i))
			}
			runtime.Gosched()
			for _, cancelled := range cancel {
				close(cancelled)
			}
			group.Wait()
		}
	}
	return nil
}

// A million timers that are not due while the program runs.
func makePending() []*time.Timer {
	all := make([]*time.Timer, pending)
	for i := range all {
		all[i] = time.NewTimer(duration(i))
	}
	return all
}

func timerSameTurn(m *meter) figures {
	million := makePending()
	for n := m.next(1); n > 0; n = m.next(1) {
		for i := 0; i < n; i++ {
			time.NewTimer(duration(i)).Stop()
		}
	}
	runtime.KeepAlive(million)
	return nil
}

// In millions, so that cleaning up after the cancelled ones has its share in every sample.
func timerLater(m *meter) figures {
	million := makePending()
	set := make([]*time.Timer, timers)
	for n := m.next(pending); n > 0; n = m.next(pending) {
		for done := 0; done < n; done += timers {
			for i := range set {
				set[i] = time.NewTimer(duration(done + i))
			}
			runtime.Gosched()
			for _, timer := range set {
				timer.Stop()
			}
		}
	}
	runtime.KeepAlive(million)
	return nil
}

//go:noinline
func body(context.Context) {}

func timeout(m *meter) figures {
	million := makePending()
	background := context.Background()
	for n := m.next(1); n > 0; n = m.next(1) {
		for i := 0; i < n; i++ {
			bounded, cancel := context.WithTimeout(background, duration(i))
			body(bounded)
			cancel()
		}
	}
	runtime.KeepAlive(million)
	return nil
}
