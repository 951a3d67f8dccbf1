package main

import "fmt"

func hop(capacity int) func(*meter) figures {
	return func(m *meter) figures {
		channel := make(chan int, capacity)
		for n := m.next(1); n > 0; n = m.next(1) {
			go func(count int) {
				for i := 0; i < count; i++ {
					channel <- i
				}
			}(n)
			for i := 0; i < n; i++ {
				<-channel
			}
		}
		return nil
	}
}

type four [4]chan int

func makeFour(capacity int) (all four) {
	for i := range all {
		all[i] = make(chan int, capacity)
	}
	return
}

func (all *four) receive() {
	select {
	case <-all[0]:
	case <-all[1]:
	case <-all[2]:
	case <-all[3]:
	}
}

func selectReady(m *meter) figures {
	all := makeFour(1)
	for n := m.next(1); n > 0; n = m.next(1) {
		for i := 0; i < n; i++ {
			all[i&3] <- i
			all.receive()
		}
	}
	return nil
}

// The other one waits in its select whenever a value is sent, so that every select has to wait.
func selectWait(m *meter) figures {
	left, right := makeFour(0), makeFour(0)
	end := make(chan bool)
	for n := m.next(2); n > 0; n = m.next(2) {
		go func(times int) {
			for i := 0; i < times; i++ {
				right[i&3] <- i
				left.receive()
			}
			end <- true
		}(n / 2)
		for i := 0; i < n/2; i++ {
			right.receive()
			left[i&3] <- i
		}
		<-end
	}
	return nil
}

func ring(m *meter) figures {
	links := make([]chan int, ringSize)
	for i := range links {
		links[i] = make(chan int)
	}
	for i := 0; i < ringSize-1; i++ {
		go func(left, right chan int) {
			for {
				right <- <-left
			}
		}(links[i], links[i+1])
	}
	first, last := links[0], links[ringSize-1]
	for n := m.next(ringSize); n > 0; n = m.next(ringSize) {
		for hops := 0; hops < n; hops += ringSize {
			first <- hops
			<-last
		}
	}
	return nil
}

func chain(m *meter) figures {
	for n := m.next(chainLen); n > 0; n = m.next(chainLen) {
		for links := 0; links < n; links += chainLen {
			leftmost := make(chan int)
			left := leftmost
			for i := 0; i < chainLen; i++ {
				right := make(chan int)
				go func(to, from chan int) { to <- 1 + <-from }(left, right)
				left = right
			}
			go func(rightmost chan int) { rightmost <- 0 }(left)
			if got := <-leftmost; got != chainLen {
				panic(fmt.Sprint("the chain is broken: ", got))
			}
		}
	}
	return nil
}
