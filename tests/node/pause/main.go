// What holds the namespaces of a pod while its containers come and go: waits for the signal that ends it. Kubernetes has
// its own in C; this one needs no C compiler for a static program.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
