package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// screenshots names a directory that the browser tests write what they see to.
const screenshots = "SCANHOOK_SCREENSHOTS"

// browserTimeout ends a test whose page never becomes what it should.
const browserTimeout = 10 * time.Minute

// browser is a real Chromium with one page.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	foreign  []string // requests to other hosts
	expected []string // hosts that may be asked
}

// openBrowser starts a Chromium; it skips the test where there is none, unless CI requires it.
func openBrowser(t *testing.T, home string) *browser {
	t.Helper()
	path := findBrowser()
	if path == "" {
		if os.Getenv("SCANHOOK_TEST_BROWSER_REQUIRED") != "" {
			t.Fatal("no Chromium found, and CI=true requires one: apt-get install chromium")
		}
		t.Skip("no Chromium found")
	}
	ctx, cancel := context.WithTimeout(t.Context(), browserTimeout)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.DisableGPU, chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	t.Cleanup(stop)
	ctx, closePage := chromedp.NewContext(ctx)
	t.Cleanup(closePage)
	b := &browser{t: t, ctx: ctx, expected: []string{home + "/", "data:", "about:"}}
	b.do(chromedp.Navigate("about:blank"), chromedp.EmulateViewport(1100, 900))
	go b.watchConsole()
	if err := chromedp.Listen(ctx, b.watchRequest); err != nil {
		t.Fatal(err)
	}
	return b
}

func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// watchConsole fails the test for whatever the page complains about.
func (b *browser) watchConsole() {
	for message, err := range chromedp.Console(b.ctx) {
		if err != nil || b.t.Context().Err() != nil {
			return
		}
		if message.Type == chromedp.ConsoleError || message.Type == chromedp.ConsoleException {
			if !strings.Contains(message.Text, "401") && !strings.Contains(message.Text, "404") { // asked for by the tests
				b.t.Errorf("console: %s", message.Text)
			}
		}
	}
}

func (b *browser) watchRequest(event any) {
	request, ok := event.(*network.EventRequestWillBeSent)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, home := range b.expected {
		if strings.HasPrefix(request.Request.URL, home) {
			return
		}
	}
	b.foreign = append(b.foreign, request.Request.URL)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for a JavaScript condition to become true, over page loads.
func (b *browser) until(condition string) {
	b.t.Helper()
	for b.ctx.Err() == nil {
		holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`Boolean(`+condition+`)`))
		if err == nil && holds {
			return
		}
		select {
		case <-b.ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	b.t.Fatalf("it never became true: %s", condition)
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		b.t.Fatalf("%s: %v", selector, err)
	}
	return text
}

// prefer sets light or dark.
func (b *browser) prefer(scheme string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

func (b *browser) disableScripts(disabled bool) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		params := emulation.SetScriptExecutionDisabledParams{Value: disabled}
		_, err := cdp.Call(ctx, page, emulation.SetScriptExecutionDisabled, params)
		return err
	}))
}

// examine holds the page to accessibility rules, light and dark, wide and narrow, and keeps pictures of it.
func (b *browser) examine(name string) {
	b.t.Helper()
	for _, look := range []struct {
		name, scheme string
		width        int64
	}{{"light", "light", 1100}, {"dark", "dark", 1100}, {"phone", "light", 390}} {
		b.prefer(look.scheme)
		b.do(chromedp.EmulateViewport(look.width, 900))
		b.axe(name + " " + look.name)
		b.shoot(name + "-" + look.name)
		wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`))
		if err != nil || wide {
			b.t.Errorf("%s %s scrolls sideways (%v)", name, look.name, err)
		}
	}
	b.prefer("light")
	b.do(chromedp.EmulateViewport(1100, 900))
}

// axe asks axe-core for violations.
func (b *browser) axe(name string) {
	b.t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "axe", "axe.min.js"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Evaluate[chromedp.Void](string(script) + ";undefined"))
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run().then((result) => JSON.stringify(
		result.violations.map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html + " " + n.failureSummary)])))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	var violations []any
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, violation := range violations {
		b.t.Errorf("%s: axe: %v", name, violation)
	}
}

func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}
