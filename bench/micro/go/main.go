// The Go programs: `bench <program>` prints what it found, as programs/main.ts does.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// What several programs have in common; the values are those of programs/fixtures.ts.
const (
	batch    = 1000
	ringSize = 1000
	chainLen = 10_000
	capacity = 128
	parked   = 1_000_000
	waiters  = 100_000
	pending  = 1_000_000
	timers   = 10_000
)

type figures map[string]float64

// A program that has no loop to be timed returns figures of its own.
var programs = map[string]func(*meter) figures{
	"spawn":           spawn,
	"spawn-batch":     spawnBatch,
	"switch":          alternate(1),
	"depth-10":        alternate(10),
	"depth-50":        alternate(50),
	"rendezvous":      hop(0),
	"buffered":        hop(capacity),
	"select-ready":    selectReady,
	"select-wait":     selectWait,
	"ring":            ring,
	"chain":           chain,
	"sleep-cancel":    sleepCancel,
	"timer-same-turn": timerSameTurn,
	"timer-later":     timerLater,
	"timeout":         timeout,
	"parked":          parkedGoroutines,
	"waiters":         cancelledWaiters,
}

func main() {
	program, ok := programs[os.Args[1]]
	if !ok {
		fmt.Println("null")
		return
	}
	m := &meter{}
	found := program(m)
	if found == nil {
		found = m.figures()
	}
	text, _ := json.Marshal(found)
	fmt.Println(string(text))
}
