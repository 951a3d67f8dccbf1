// The Go server: a goroutine for each client, which reads and writes through a buffer of its own. With an
// argument, each so many bytes of a chunk are answered by a write of their own.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
)

const bufferSize = 64 << 10

func echo(conn net.Conn, replySize int) {
	defer conn.Close()
	buffer := make([]byte, bufferSize)
	for {
		length, err := conn.Read(buffer)
		if err != nil {
			return
		}
		for at := 0; at < length; at += replySize {
			end := at + replySize
			if end > length {
				end = length
			}
			if _, err := conn.Write(buffer[at:end]); err != nil {
				return
			}
		}
	}
}

// collectOnSignal gives memory back when the load generator asks for it.
func collectOnSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	for range asked {
		debug.FreeOSMemory()
	}
}

func main() {
	replySize := bufferSize
	if len(os.Args) > 1 {
		size, err := strconv.Atoi(os.Args[1])
		if err != nil || size < 1 {
			fmt.Fprintln(os.Stderr, "expected the size of a reply, got", os.Args[1])
			os.Exit(1)
		}
		replySize = size
	}
	go collectOnSignal()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go echo(conn, replySize)
	}
}
