package main

import (
	"runtime"
	"sync"
)

func memoryInUse() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc + stats.StackInuse)
}

func parkedGoroutines(*meter) figures {
	var group sync.WaitGroup
	gate := make(chan struct{})
	before := memoryInUse()
	var watch stopwatch
	watch.lap()
	group.Add(parked)
	for i := 0; i < parked; i++ {
		go func() {
			<-gate
			group.Done()
		}()
	}
	runtime.Gosched()
	parkingCPU, parkingWall := watch.lap()
	bytes := (memoryInUse() - before) / parked
	watch.lap()
	close(gate)
	group.Wait()
	cpu, wall := watch.lap()
	return figures{"bytes": bytes, "life": parkingCPU + cpu, "life-wall": parkingWall + wall}
}

// As it is done in Go, each goroutine selects over the channel and one of its own that cancels it.
// Closing that only makes it ready: it leaves the channel when it runs.
func cancelledWaiters(*meter) figures {
	order := shuffled(waiters)
	channel := make(chan int)
	cancel := make([]chan struct{}, waiters)
	var unwoundCPU, unwoundWall []float64
	for round := 0; round < 3; round++ {
		var group sync.WaitGroup
		group.Add(waiters)
		for i := range cancel {
			cancelled := make(chan struct{})
			cancel[i] = cancelled
			go func() {
				select {
				case <-channel:
				case <-cancelled:
				}
				group.Done()
			}()
		}
		runtime.Gosched()
		var watch stopwatch
		watch.lap()
		for _, i := range order {
			close(cancel[i])
		}
		group.Wait()
		cpu, wall := watch.lap()
		unwoundCPU = append(unwoundCPU, cpu)
		unwoundWall = append(unwoundWall, wall)
	}
	return figures{"unwound": median(unwoundCPU), "unwound-wall": median(unwoundWall)}
}

// shuffled is that of programs/fixtures.ts.
func shuffled(count int) []uint32 {
	order := make([]uint32, count)
	for i := range order {
		order[i] = uint32(i)
	}
	state := uint32(12_345)
	for i := count - 1; i > 0; i-- {
		state = state*1_103_515_245 + 12_345
		j := state % uint32(i+1)
		order[i], order[j] = order[j], order[i]
	}
	return order
}
