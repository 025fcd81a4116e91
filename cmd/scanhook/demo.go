package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// demoTimeout ends a demo whose status never arrives; a large repository at PATH may take its scanner's ten minutes.
const demoTimeout = 12 * time.Minute

// demo shows a push, step by step.
type demo struct {
	sandbox *sandbox
	out     io.Writer
	project string
	step    int
}

func newDemo(opts *cli.Options) *cobra.Command {
	var once bool
	kinds := strings.Join(slices.Sorted(maps.Keys(fakeForges)), ", ")
	kind := platformKinds[0].Name
	cmd := &cobra.Command{
		Use: "demo [PATH]", Short: "Show a push becoming a commit status, with nothing installed or configured",
		Long: "Runs Scanhook and a fake Git platform in this process, on loopback and a temporary database.\n" +
			"A sample repository with planted secrets is pushed, or the git repository at PATH with its own HEAD.",
		Example: "  scanhook demo\n  scanhook demo --once ~/src/my-service\n  scanhook demo --platform gitlab",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if fakeForges[kind] == nil {
				return cli.WrongUse("--platform %q is none of %s", kind, kinds)
			}
			log := opts.QuietLogger(cmd.ErrOrStderr())
			return runDemo(cmd.Context(), cmd.OutOrStdout(), log, kind, once, args)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "exit when the status has been posted, and print it as the last line")
	cmd.Flags().StringVar(&kind, "platform", kind, "`KIND` of the platform to fake: "+kinds)
	return cmd
}

func runDemo(ctx context.Context, out io.Writer, log *slog.Logger, kind string, once bool, args []string) error {
	dir, remove, err := temporary()
	if err != nil {
		return err
	}
	defer remove()
	checkout, project, err := demoRepository(ctx, dir, args)
	if err != nil {
		return err
	}
	w, err := newSandbox(ctx, sandboxConfig{kind: kind, dir: dir, log: log})
	if err != nil {
		return err
	}
	defer w.close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	if err := w.start(running); err != nil {
		return err
	}
	w.platform.AddRepository(fakeforge.Repository{Project: project, Dir: checkout.Dir, DefaultBranch: checkout.Branch})
	d := &demo{sandbox: w, out: out, project: project}
	final, err := d.run(ctx, checkout, len(args) == 0)
	if err != nil {
		return err
	}
	if !once {
		d.stay(ctx, final)
	}
	d.show(final)
	return nil
}

// demoRepository is the repository at the path given, or the sample, with the name it gets on the platform.
func demoRepository(ctx context.Context, dir string, args []string) (gitrepo.Checkout, string, error) {
	if len(args) == 0 {
		checkout, err := gitrepo.Sample(ctx, filepath.Join(dir, "sample"))
		return checkout, "acme/shop", err
	}
	checkout, err := gitrepo.Open(ctx, args[0])
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", r) {
			return r
		}
		return '-'
	}, strings.TrimSuffix(filepath.Base(checkout.Dir), ".git"))
	return checkout, "demo/" + strings.TrimLeft(name, ".-"), err
}

// run pushes the repository's last commit. The sample's first commit is pushed before it, as the baseline.
func (d *demo) run(ctx context.Context, checkout gitrepo.Checkout, sample bool) (fakeforge.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	d.say("A fake forge (%s) runs at %s, Scanhook at %s.", d.sandbox.kind, d.sandbox.platform.Base(), d.sandbox.scanhook)
	before := ""
	if sample {
		if _, err := d.push(ctx, checkout, "", checkout.Before); err != nil {
			return fakeforge.Status{}, err
		}
		before = checkout.Before
	}
	return d.push(ctx, checkout, before, checkout.Head)
}

// push takes one commit from the webhook to its final status.
func (d *demo) push(ctx context.Context, checkout gitrepo.Checkout, before, sha string) (fakeforge.Status, error) {
	started := time.Now()
	delivery, err := d.sandbox.push(ctx, fakeforge.PushSpec{
		Project: d.project, Ref: "refs/heads/" + checkout.Branch, Before: before, After: sha,
	})
	if err != nil {
		return fakeforge.Status{}, err
	}
	var answer struct{ Outcome, Scan string }
	if err := json.Unmarshal(delivery.Answer, &answer); err != nil {
		return fakeforge.Status{}, fmt.Errorf("reading the webhook's answer: %w", err)
	}
	d.say("%s pushes %s to %s of %s: a signed webhook, answered %d %s in %s.", d.sandbox.kind, core.ShortSHA(sha),
		checkout.Branch, d.project, delivery.Status, answer.Outcome, time.Since(started).Round(time.Millisecond))
	final, err := d.sandbox.final(ctx, sha)
	if err != nil {
		return fakeforge.Status{}, fmt.Errorf("waiting for the status of %s: %w", core.ShortSHA(sha), err)
	}
	d.say("Scanhook fetched %s from %s and ran gitleaks; after %s the platform shows:", core.ShortSHA(sha),
		d.sandbox.platform.CloneURL(d.project), time.Since(started).Round(time.Millisecond))
	d.show(final)
	return final, d.listFindings(ctx, answer.Scan)
}

func (d *demo) say(format string, args ...any) {
	d.step++
	fmt.Fprintf(d.out, "%d. %s\n", d.step, fmt.Sprintf(format, args...))
}

// show prints a status as the platform shows it beside the commit.
func (d *demo) show(s fakeforge.Status) {
	mark := "✗"
	if s.State == "success" {
		mark = "✓"
	}
	fmt.Fprintf(d.out, "%s %s %s: %s  Details: %s\n", mark, s.Context, s.State, s.Description, s.TargetURL)
}

// stay keeps both servers up for a look around.
func (d *demo) stay(ctx context.Context, final fakeforge.Status) {
	details := strings.TrimPrefix(final.TargetURL, d.sandbox.scanhook)
	fmt.Fprintf(d.out, "\nOpen this link in a browser. It leads to the Details and logs you in, once:\n\n  %s\n\n", d.sandbox.loginLink(details))
	fmt.Fprintf(d.out, "Later, log in with the token %s.\n", d.sandbox.apiToken)
	fmt.Fprintf(d.out, "Look around until Ctrl-C: curl -H 'Authorization: Bearer %s' %s/api/v1/scans (described at %s/docs)\n",
		d.sandbox.apiToken, d.sandbox.scanhook, d.sandbox.scanhook)
	<-ctx.Done()
}

// shownFindings is how many findings of each commit a demo prints.
const shownFindings = 10

// listFindings prints the findings of a scan as the API returns them.
func (d *demo) listFindings(ctx context.Context, reference string) error {
	url := fmt.Sprintf("%s/api/v1/scans/%s/findings?limit=%d", d.sandbox.scanhook, reference, shownFindings)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+d.sandbox.apiToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("listing findings: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("listing findings: the API answered %s", response.Status)
	}
	var page struct {
		Items []struct {
			Severity, File, Title string
			State                 string `json:"baseline_state"`
			RuleID                string `json:"rule_id"`
			Line                  int
		}
		Next string
	}
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
		return fmt.Errorf("listing findings: %w", err)
	}
	for _, f := range page.Items {
		fmt.Fprintf(d.out, "     %-9s %-8s %s:%d  %s\n", f.State, f.Severity, f.File, f.Line, f.RuleID)
	}
	if page.Next != "" {
		fmt.Fprintln(d.out, "     …")
	}
	return nil
}

// temporary makes a directory that the returned function removes.
func temporary() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "scanhook-demo-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
