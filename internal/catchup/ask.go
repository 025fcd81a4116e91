package catchup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

const (
	callTimeout = 30 * time.Second
	maxGreeting = 1000 // lines in which a server says what it can
	userAgent   = "git/2.0 scanhook"
)

// asker asks git servers where their branches and tags stand, as git ls-remote does: two requests a project, which
// count for no API's quota. It speaks the protocol itself, because the answer's status and headers tell what git's exit
// code does not: who is refused, who must wait, who has moved.
type asker struct {
	client *http.Client
	now    func() time.Time
}

// newAsker is for one platform: a wait that it asks for holds for all of its projects, and for its API, whose waits hold
// here, too.
func newAsker(platform platforms.Platform, now func() time.Time) asker {
	return asker{platforms.ClientOf(platform, callTimeout), now}
}

// ask takes a snapshot of a project. Errors are those of platforms: RateLimited, ErrRefused for what needs a person;
// anything else is worth another try.
func (a asker) ask(ctx context.Context, remote platforms.Remote) (snapshot, error) {
	response, err := a.call(ctx, remote, http.MethodGet, "/info/refs?service=git-upload-pack", "")
	if err != nil {
		return snapshot{}, err
	}
	defer finish(response)
	lines := packets{bufio.NewReader(response.Body)}
	greeting, err := lines.greeting()
	if err != nil {
		return snapshot{}, notUnderstood(remote, err)
	}
	if greeting != "version 2" {
		return readAdvertised(remote, greeting, lines)
	}
	return a.list(ctx, remote, lines)
}

// greeting is the first line that says something; a server may announce the service before it.
func (p packets) greeting() (string, error) {
	for range 3 {
		line, mark, err := p.next()
		if err != nil || !mark && !strings.HasPrefix(line, "# service=") {
			return line, err
		}
	}
	return "", errNotGit
}

// readAdvertised reads the list with which a server of protocol version 0 begins.
func readAdvertised(remote platforms.Remote, first string, lines packets) (taken snapshot, err error) {
	if id, _, ok := strings.Cut(first, " "); !ok || len(id) < 40 {
		return snapshot{}, notUnderstood(remote, errNotGit)
	}
	taken.addAdvertised(first)
	if err := lines.section(taken.addAdvertised); err != nil {
		return snapshot{}, notUnderstood(remote, err)
	}
	return taken, nil
}

// list asks a server of protocol version 2, which sends branches and tags alone: the refs of a million merge requests
// stay where they are.
func (a asker) list(ctx context.Context, remote platforms.Remote, greeting packets) (taken snapshot, err error) {
	request := packet("command=ls-refs")
	left := maxGreeting
	err = greeting.section(func(capability string) bool {
		if strings.HasPrefix(capability, "object-format=") {
			request += packet(capability)
		}
		left--
		return left > 0
	})
	if err != nil {
		return snapshot{}, notUnderstood(remote, err)
	}
	request += "0001" + packet("peel") + packet("symrefs") +
		packet("ref-prefix HEAD") + packet("ref-prefix refs/heads/") + packet("ref-prefix refs/tags/") + "0000"
	response, err := a.call(ctx, remote, http.MethodPost, "/git-upload-pack", request)
	if err != nil {
		return snapshot{}, err
	}
	defer finish(response)
	if err := (packets{bufio.NewReader(response.Body)}).section(taken.addListed); err != nil {
		return snapshot{}, notUnderstood(remote, err)
	}
	return taken, nil
}

func notUnderstood(remote platforms.Remote, err error) error {
	if errors.Is(err, errNotGit) {
		return fmt.Errorf("%w: %s answers, but %w: check the platform's url", platforms.ErrRefused, remote.URL, err)
	}
	return fmt.Errorf("reading the branches of %s: %w", remote.URL, err)
}

func (a asker) call(ctx context.Context, remote platforms.Remote, method, path, body string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, remote.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the project's address cannot be called: check the platform's url", platforms.ErrRefused)
	}
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Git-Protocol", "version=2")
	if remote.Authorization != "" {
		request.Header.Set("Authorization", remote.Authorization)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, unreachable(remote, err)
	}
	if err := a.judge(remote, request.URL, response); err != nil {
		finish(response)
		return nil, err
	}
	return response, nil
}

// finish reads what little may be left of an answer, so that the connection can be used again.
func finish(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10))
	_ = response.Body.Close()
}

// unreachable leaves the address out that net/http puts before its errors: ours says it already.
func unreachable(remote platforms.Remote, err error) error {
	if call := new(url.Error); errors.As(err, &call) {
		err = call.Err
	}
	return fmt.Errorf("%s cannot be reached: %w", remote.URL, err)
}

// judge turns the status of an answer into an error that says what to do.
func (a asker) judge(remote platforms.Remote, asked *url.URL, response *http.Response) error {
	if wait, limited := platforms.Limited(response, a.now()); limited {
		return &platforms.RateLimited{After: wait, Err: fmt.Errorf("%s answers %d", remote.URL, response.StatusCode)}
	}
	switch status := response.StatusCode; status {
	case http.StatusOK:
		return movedTo(remote, asked, response.Request.URL)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return fmt.Errorf("%w: %s answers %d: check that the project exists and that the platform's token may read its code",
			platforms.ErrRefused, remote.URL, status)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Errorf("%w: %s answers %d: the project has moved, or the platform's url is not its own address",
			platforms.ErrRefused, remote.URL, status)
	default:
		return fmt.Errorf("%s answers %d", remote.URL, status)
	}
}
