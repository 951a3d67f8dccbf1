package main

import (
	"runtime"
	"sync"
)

func spawn(m *meter) figures {
	var group sync.WaitGroup
	for n := m.next(1); n > 0; n = m.next(1) {
		for i := 0; i < n; i++ {
			group.Add(1)
			go func() { group.Done() }()
			group.Wait()
		}
	}
	return nil
}

func spawnBatch(m *meter) figures {
	var group sync.WaitGroup
	for n := m.next(batch); n > 0; n = m.next(batch) {
		for done := 0; done < n; done += batch {
			group.Add(batch)
			for i := 0; i < batch; i++ {
				go func() { group.Done() }()
			}
			group.Wait()
		}
	}
	return nil
}

//go:noinline
func deepPauses(depth, times int) {
	if depth > 1 {
		deepPauses(depth-1, times)
		return
	}
	for i := 0; i < times; i++ {
		runtime.Gosched()
	}
}

// Two goroutines alternate; each yields inside of so many calls.
func alternate(depth int) func(*meter) figures {
	return func(m *meter) figures {
		for n := m.next(2); n > 0; n = m.next(2) {
			var group sync.WaitGroup
			group.Add(2)
			for i := 0; i < 2; i++ {
				go func() {
					deepPauses(depth, n/2)
					group.Done()
				}()
			}
			group.Wait()
		}
		return nil
	}
}
