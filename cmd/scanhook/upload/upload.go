// Package upload is scanhook upload: it delivers a scanner's report to a running Scanhook, usually from a CI job, and prints
// what is new in it.
package upload

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/cmd/scanhook/remote"
	"github.com/scanhook/scanhook/core"
)

const uploadTimeout = 6 * time.Minute // for one try; the server gives the body five minutes

// Upload is one run of scanhook upload. Complete finds what the flags do not say, Run uploads.
type Upload struct {
	remote.Target
	Scanner string        // its name in the server's configuration
	Gate    bool          // Run fails when the verdict is fail, or the scan failed
	JSON    bool          // prints one JSON document
	Wait    time.Duration // for the verdict; 0: what is known by then is enough
	Root    string        // of the checkout, by which the report may name its files; empty where none is known

	Category string   // of the report, whatever it says itself; empty: as it says
	Partial  bool     // the scanner looked at a part of the commit, which nobody names
	Paths    []string // globs of the files that it looked at; none: at all
}

// Complete finds what the flags do not say: in the environment, in git and, for the server, in the configuration, which
// configured reads.
func (u *Upload) Complete(ctx context.Context, env remote.Env, configured func() (string, error)) error {
	if u.Scanner == "" || strings.Contains(u.Scanner, "/") {
		return cli.WrongUse("--scanner is missing or a path: give the scanner's name in the server's configuration, " +
			"such as trivy")
	}
	u.Root = cmp.Or(u.Root, remote.CheckoutRoot(ctx))
	if u.Partial && len(u.Paths) > 0 {
		return cli.WrongUse("--partial says that nobody knows which files the scanner looked at, --paths names them: give one of them")
	}
	return u.Target.Complete(ctx, env, configured)
}

// Run stores the report and prints what is known of the scan then, or once it has ended.
func (u *Upload) Run(ctx context.Context, out, errs io.Writer, report *Report) error {
	stored, err := u.put(ctx, u.Client(errs), report)
	if err != nil {
		return fmt.Errorf("uploading the report: %w", err)
	}
	if u.Wait > 0 && !stored.Ended() {
		if stored.State, err = u.wait(ctx, errs, stored.Scan); err != nil {
			return fmt.Errorf("the report was stored; waiting for the verdict: %w", err)
		}
	}
	known := outcome{answer: stored}
	if known.News, err = u.Ask(ctx, u.Client(errs), stored.Scan); err != nil {
		fmt.Fprintln(errs, "the report was stored, but what it says cannot be shown:", err)
	}
	if u.JSON {
		err = json.NewEncoder(out).Encode(known)
	} else {
		err = known.Write(out, known.describe(u.Scanner))
	}
	if err == nil && u.Gate {
		return stored.Judge()
	}
	return err
}

// wait returns the state of the scan that the report went to, once it has ended.
func (u *Upload) wait(ctx context.Context, errs io.Writer, scan string) (remote.State, error) {
	target := u.Target
	target.Scan = scan
	return target.WaitFor(ctx, u.Wait, errs)
}

func (u *Upload) put(ctx context.Context, api *remote.Client, report *Report) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, u.Retry+uploadTimeout)
	defer cancel()
	var stored answer
	if err := api.Put(ctx, u.path(), report.open, &stored); err != nil {
		return stored, err
	}
	if stored.Scan == "" {
		return stored, remote.ErrNotScanhook
	}
	return stored, nil
}

// path is that of the report below /api/v1.
func (u *Upload) path() string {
	scanner, query := "/results/"+url.PathEscape(u.Scanner), u.scope()
	if u.Scan != "" {
		return strings.TrimSuffix("/scans/"+url.PathEscape(u.Scan)+scanner+"?"+query.Encode(), "?")
	}
	for name, value := range map[string]string{
		"platform": u.Commit.Platform, "project": u.Commit.Project, "commit": u.Commit.SHA, "branch": u.Commit.Branch,
	} {
		query.Set(name, value)
	}
	if u.Commit.ProjectID != "" {
		query.Set("project_id", u.Commit.ProjectID)
	}
	return scanner + "?" + query.Encode()
}

// scope says of which part of the commit the report is, and where its scanner ran.
func (u *Upload) scope() url.Values {
	query := url.Values{}
	if u.Root != "" {
		query.Set("root", u.Root)
	}
	if u.Category != "" {
		query.Set("category", u.Category)
	}
	if u.Partial {
		query.Set("partial", "true")
	}
	for _, glob := range u.Paths {
		query.Add("paths", glob)
	}
	return query
}

// answer is what the API says of a stored report.
type answer struct {
	remote.State
	Stored    int `json:"stored"`
	Skipped   int `json:"skipped"`
	New       int `json:"new"`
	Unchanged int `json:"unchanged"`
}

// describe says what was stored, and the state of the scan.
func (a answer) describe(scanner string) string {
	text := fmt.Sprintf("stored %s of %s (%d new, %d known)", core.Plural(a.Stored, "finding"), scanner, a.New, a.Unchanged)
	if a.Skipped > 0 {
		text += fmt.Sprintf(", left out %s without a problem", core.Plural(a.Skipped, "result"))
	}
	return cli.OneLine(fmt.Sprintf("%s; scan %s: %s", text, a.Scan, a.State))
}

// outcome is what the command prints.
type outcome struct {
	answer
	remote.News
}
