package fakeforge_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// A platform pushes the sample repository's last commit to a receiver, which answers with a commit status.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sample")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	sample, err := gitrepo.Sample(ctx, dir)
	if err != nil {
		log.Fatal(err)
	}
	forge := github.New(fakeforge.Config{Secret: "shared", Token: "token"})
	web := httptest.NewServer(forge)
	defer web.Close()
	if err := forge.SetBase(web.URL); err != nil {
		log.Fatal(err)
	}
	forge.AddRepository(fakeforge.Repository{Project: "acme/payments", Dir: sample.Dir})

	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	}))
	defer receiver.Close()
	delivery, err := forge.Push(ctx, receiver.URL, fakeforge.PushSpec{
		Project: "acme/payments", Ref: "refs/heads/" + sample.Branch, Before: sample.Before, After: sample.Head,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(delivery.Event, delivery.Status)
	// Output: push 202
}
