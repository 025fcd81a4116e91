// Package gitproto asks git servers over HTTP where the branches and tags of a project stand, as git ls-remote does: two
// requests a project, which count for no API's rate limit. It speaks the protocol itself, because the status and headers
// of the answers tell what git's exit code does not: who is refused, who must wait, which project has moved.
package gitproto

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

const (
	callTimeout     = 30 * time.Second
	probeTimeout    = 10 * time.Second // for the first byte of an answer
	maxCapabilities = 1000             // lines
	userAgent       = "git/2.0 scanhook"

	advertisePath = "/info/refs?service=git-upload-pack"
)

// Client calls the git server of one platform.
type Client struct {
	http *http.Client
	now  func() time.Time
}

// New returns a client for a platform. It shares the HTTP client of the platform's API where there is one, so that a wait
// that either of the two was asked for holds for both.
func New(platform platforms.Platform, now func() time.Time) *Client {
	return &Client{platforms.ClientOf(platform, callTimeout), now}
}

// ListRefs returns where the branches and tags of a project stand. Errors are *Moved, and those of platforms: RateLimited,
// ErrRefused for what needs a person; anything else is worth another try.
func (c *Client) ListRefs(ctx context.Context, remote platforms.Remote) (Refs, error) {
	response, err := c.call(ctx, remote, http.MethodGet, advertisePath, "")
	if err != nil {
		return Refs{}, err
	}
	defer finish(response)
	lines := packets{bufio.NewReader(response.Body)}
	greeting, err := lines.greeting()
	if err != nil {
		return Refs{}, unreadable(remote, err)
	}
	if greeting != "version 2" {
		return readAdvertised(remote, greeting, lines)
	}
	return c.list(ctx, remote, lines)
}

// readAdvertised reads the refs with which a server of protocol version 0 begins its answer.
func readAdvertised(remote platforms.Remote, first string, lines packets) (refs Refs, err error) {
	if id, _, ok := strings.Cut(first, " "); !ok || len(id) < 40 {
		return Refs{}, unreadable(remote, errNotGit)
	}
	refs.addAdvertised(first)
	if err := lines.section(refs.addAdvertised); err != nil {
		return Refs{}, unreadable(remote, err)
	}
	return refs, nil
}

// list asks a server of protocol version 2 for branches and tags alone, without the refs of all merge requests.
func (c *Client) list(ctx context.Context, remote platforms.Remote, greeting packets) (refs Refs, err error) {
	request := packet("command=ls-refs")
	left := maxCapabilities
	err = greeting.section(func(capability string) bool {
		if strings.HasPrefix(capability, "object-format=") {
			request += packet(capability)
		}
		left--
		return left > 0
	})
	if err != nil {
		return Refs{}, unreadable(remote, err)
	}
	request += "0001" + packet("peel") + packet("symrefs") +
		packet("ref-prefix HEAD") + packet("ref-prefix refs/heads/") + packet("ref-prefix refs/tags/") + "0000"
	response, err := c.call(ctx, remote, http.MethodPost, "/git-upload-pack", request)
	if err != nil {
		return Refs{}, err
	}
	defer finish(response)
	if err := (packets{bufio.NewReader(response.Body)}).section(refs.addListed); err != nil {
		return Refs{}, unreadable(remote, err)
	}
	return refs, nil
}

func unreadable(remote platforms.Remote, err error) error {
	if errors.Is(err, errNotGit) {
		return fmt.Errorf("%w: %s answers, but %w: check the platform's url", platforms.ErrRefused, remote.URL, err)
	}
	return fmt.Errorf("reading the branches of %s: %w", remote.URL, err)
}

func (c *Client) call(ctx context.Context, remote platforms.Remote, method, path, body string) (*http.Response, error) {
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
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(remote, err)
	}
	if err := c.judge(remote, request.URL, response); err != nil {
		finish(response)
		return nil, err
	}
	return response, nil
}

// finish reads the rest of a short answer, so that the connection can be used again.
func finish(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10))
	_ = response.Body.Close()
}

// unreachable removes the address that net/http puts before its errors: this message has it already.
func unreachable(remote platforms.Remote, err error) error {
	if call := new(url.Error); errors.As(err, &call) {
		err = call.Err
	}
	return fmt.Errorf("%s cannot be reached: %w", remote.URL, err)
}

// judge turns the status of an answer into an error that tells what to do.
func (c *Client) judge(remote platforms.Remote, asked *url.URL, response *http.Response) error {
	if wait, limited := platforms.Limited(response, c.now()); limited {
		return &platforms.RateLimited{After: wait, Err: fmt.Errorf("%s answers %d", remote.URL, response.StatusCode)}
	}
	switch status := response.StatusCode; status {
	case http.StatusOK:
		return checkPath(remote, asked, response.Request.URL)
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

// Moved says that a project has another path now: platforms redirect from the old address to the new one.
type Moved struct{ Path string }

func (m *Moved) Error() string { return "the project has moved to " + m.Path }

// checkPath compares the address that answered with the one that was asked.
func checkPath(remote platforms.Remote, asked, answered *url.URL) error {
	if answered.Path == asked.Path {
		return nil
	}
	address, err := url.Parse(remote.URL)
	suffix := strings.TrimPrefix(asked.Path, address.Path)
	path, ok := strings.CutSuffix(answered.Path, suffix)
	if err != nil || !ok {
		return fmt.Errorf("%w: %s leads to another address: check the platform's url", platforms.ErrRefused, remote.URL)
	}
	return &Moved{strings.TrimSuffix(path, ".git")}
}

var errNotGit = errors.New("it does not speak git's protocol")

// packets reads git's packet lines: four hexadecimal digits of length, themselves included, and text. Lengths below four
// are marks between sections.
type packets struct{ *bufio.Reader }

// next returns the next line without its line end. At a mark, mark is true and the line is empty.
func (p packets) next() (line string, mark bool, err error) {
	var digits [4]byte
	if _, err := io.ReadFull(p, digits[:]); err != nil {
		return "", false, fmt.Errorf("the answer ends early: %w", noEOF(err))
	}
	length, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return "", false, errNotGit
	}
	if length < 4 {
		return "", true, nil
	}
	text := make([]byte, length-4)
	if _, err := io.ReadFull(p, text); err != nil {
		return "", false, fmt.Errorf("the answer ends early: %w", noEOF(err))
	}
	return strings.TrimSuffix(string(text), "\n"), false, nil
}

// noEOF returns io.ErrUnexpectedEOF for a stream that ended before its last mark.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// greeting returns the first line with content; a server may announce the service before it.
func (p packets) greeting() (string, error) {
	for range 3 {
		line, mark, err := p.next()
		if err != nil || !mark && !strings.HasPrefix(line, "# service=") {
			return line, err
		}
	}
	return "", errNotGit
}

// section calls line for each line up to the next mark, or until it returns false.
func (p packets) section(line func(string) bool) error {
	for {
		text, mark, err := p.next()
		if err != nil || mark || !line(text) {
			return err
		}
	}
}

// packet frames a line.
func packet(line string) string { return fmt.Sprintf("%04x%s\n", len(line)+5, line) }

// Unavailable tells whether a git server cannot be reached or is broken, which will pass, rather than refuses the call.
// Git's exit code is the same for both.
func Unavailable(ctx context.Context, remote platforms.Remote) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, remote.URL+advertisePath, nil)
	if err != nil {
		return false
	}
	if remote.Authorization != "" {
		request.Header.Set("Authorization", remote.Authorization)
	}
	response, err := http.DefaultTransport.RoundTrip(request) // follows no redirect with the credential
	if err != nil {
		return !errors.As(err, new(*tls.CertificateVerificationError))
	}
	defer response.Body.Close()
	return response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests
}
