package core

import (
	"runtime"
	"sync"
)

// minShare is how many findings are worth another processor.
const minShare = 4096

// share calls work once for each number below n, on several processors where there are many, each with a scratch of its
// own. A panic is the caller's.
func share(n int, work func(i int, scratch *Finding)) {
	workers := min(runtime.GOMAXPROCS(0), n/minShare+1)
	panics := make(chan any, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			defer func() {
				if reason := recover(); reason != nil {
					panics <- reason
				}
			}()
			var scratch Finding
			for i := worker * n / workers; i < (worker+1)*n/workers; i++ {
				work(i, &scratch)
			}
		})
	}
	group.Wait()
	if len(panics) > 0 {
		panic(<-panics)
	}
}
