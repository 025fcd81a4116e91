package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var hrefs = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// crawl follows every link that leads to this machine, from page to page, and returns those that do not answer 200 with
// the page that has them, and all links elsewhere. Filters are tried one at a time: there are too many ways to join them.
func crawl(ctx context.Context, client *http.Client, from string) (broken, elsewhere []string, seen map[string]string, err error) {
	start, err := url.Parse(from)
	if err != nil {
		return nil, nil, nil, err
	}
	seen = map[string]string{from: "the terminal"}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		body, at, err := visit(ctx, client, queue[0])
		if err != nil {
			broken = append(broken, fmt.Sprintf("%s on %s: %v", queue[0], seen[queue[0]], err))
			continue
		}
		for _, match := range hrefs.FindAllStringSubmatch(body, -1) {
			link, err := at.Parse(html.UnescapeString(match[1]))
			if err != nil {
				return nil, nil, nil, err
			}
			link.Fragment = ""
			if link.Host == "cwe.mitre.org" { // what kind of weakness it is
				continue
			}
			if link.Path == at.Path && link.RawQuery != "" && at.RawQuery != "" {
				continue
			}
			if link.Hostname() != start.Hostname() {
				elsewhere = append(elsewhere, link.String())
			} else if _, known := seen[link.String()]; !known {
				seen[link.String()] = queue[0]
				queue = append(queue, link.String())
			}
		}
	}
	return broken, elsewhere, seen, nil
}

func visit(ctx context.Context, client *http.Client, address string) (string, *url.URL, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", nil, err
	}
	request.Header.Set("Accept", "text/html")
	answer, err := client.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", answer.Status)
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
		body = nil
	}
	return string(body), answer.Request.URL, err
}

// The link that a demo prints logs in, and from there every link on every page leads somewhere: to the pages of both
// programs.
func TestEveryLinkOfTheDemoLeadsSomewhere(t *testing.T) {
	t.Parallel()
	for _, kind := range slices.Sorted(maps.Keys(fakeForges)) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind})
			startSandbox(t, w)
			pushTo(t, w, "main", "", sample.Before)
			finalOf(t, w, sample.Before)
			pushTo(t, w, "main", sample.Before, sample.Head)
			final := finalOf(t, w, sample.Head)
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			client, link := &http.Client{Jar: jar}, w.loginLink(strings.TrimPrefix(final.TargetURL, w.scanhook))
			broken, elsewhere, seen, err := crawl(t.Context(), client, link)
			if err != nil {
				t.Fatal(err)
			}
			for _, link := range broken {
				t.Error(link)
			}
			commit := w.platform.Base() + "/acme/shop/commit/" + sample.Head
			if kind == "gitlab" {
				commit = w.platform.Base() + "/acme/shop/-/commit/" + sample.Head
			}
			if _, reached := seen[commit]; !reached || len(elsewhere) > 0 {
				t.Errorf("%d links, reached %s: %t, elsewhere %v", len(seen), commit, reached, elsewhere)
			}
			holdDemoClosed(t, link, commit)
			t.Logf("%d links", len(seen))
		})
	}
}

// holdDemoClosed wants the link to work no more, and repositories to be shown to nobody else.
func holdDemoClosed(t *testing.T, link, commit string) {
	t.Helper()
	stranger := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for address, want := range map[string]string{link: "404 Not Found", commit: "403 Forbidden"} {
		if _, _, err := visit(t.Context(), stranger, address); err == nil || err.Error() != want {
			t.Errorf("a stranger at %s: %v, want %s", address, err, want)
		}
	}
}
