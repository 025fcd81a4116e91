package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/suggest"
)

// Part is a piece of what scanhook serve does. One process can do all of them, or several processes some each.
type Part string

// The parts, in the order of a push.
const (
	Intake    Part = "intake"
	Ingest    Part = "ingest"
	Runner    Part = "runner"
	Statuses  Part = "statuses"
	Reconcile Part = "reconcile"
	Enrich    Part = "enrich"
	Verdicts  Part = "verdicts"
	EPSS      Part = "epss"
	Retention Part = "retention"
	API       Part = "api"
	Web       Part = "web"
)

// parts say what each of them does and needs.
var parts = []struct {
	Part
	does string
}{
	{Intake, "takes the platforms' calls; needs the webhook secrets"},
	{Ingest, "opens scans for the calls that were taken"},
	{Runner, "runs scanners; needs git and, for private code, tokens that may read it"},
	{Statuses, "posts commit statuses, and does what the buttons of check runs ask for; needs tokens that may post them"},
	{Reconcile, "finds pushes that no call announced, and broken webhooks; needs secrets and tokens"},
	{Enrich, "asks platforms for what calls leave out"},
	{Verdicts, "judges again when the gate of the configuration or the time changes a verdict, and ends scans that are overdue"},
	{EPSS, "fetches the lists of EPSS and KEV"},
	{Retention, "removes what was kept long enough"},
	{API, "answers under /api, and takes reports"},
	{Web, "shows the pages"},
}

// AllParts are the names of all parts.
func AllParts() (names []Part) {
	for _, p := range parts {
		names = append(names, p.Part)
	}
	return names
}

// Parts are those that a process does: all, unless flags say otherwise.
type Parts struct{ only, except []string }

// OnlyParts are the named ones, which must exist.
func OnlyParts(names ...Part) (p Parts) {
	for _, name := range names {
		p.only = append(p.only, string(name))
	}
	return p
}

// AddFlags gives a command the flags --only and --except.
func (p *Parts) AddFlags(cmd *cobra.Command) {
	const only, except = "only", "except"
	cmd.Flags().StringSliceVar(&p.only, only, nil, "do only these `PARTS`, separated by commas")
	cmd.Flags().StringSliceVar(&p.except, except, nil, "do all but these `PARTS`")
	complete := func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, part := range parts {
			names = append(names, string(part.Part)+"\t"+part.does)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	for _, flag := range []string{only, except} {
		_ = cmd.RegisterFlagCompletionFunc(flag, complete) // fails for a flag that is not there
	}
}

// Load is Options.Load, and a UsageError where the flags make no sense.
func (p Parts) Load(opts *Options) (*config.Config, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return opts.Load()
}

// check is a UsageError where a name is no part, or nothing is left to do.
func (p Parts) check() error {
	if len(p.only) > 0 && len(p.except) > 0 {
		return WrongUse("give --only or --except, not both")
	}
	var names []string
	for _, part := range parts {
		names = append(names, string(part.Part))
	}
	for _, name := range slices.Concat(p.only, p.except) {
		if !slices.Contains(names, name) {
			return WrongUse("there is no part %q%s", name, suggest.Valid(name, "parts", names))
		}
	}
	if !slices.ContainsFunc(AllParts(), p.Has) {
		return WrongUse("nothing is left to do: leave a part out of --except")
	}
	return nil
}

// Has tells whether a part is among them.
func (p Parts) Has(part Part) bool {
	if len(p.only) > 0 {
		return slices.Contains(p.only, string(part))
	}
	return !slices.Contains(p.except, string(part))
}

// HasAny tells whether one of several is among them.
func (p Parts) HasAny(any ...Part) bool { return slices.ContainsFunc(any, p.Has) }

// Warnings are those of a configuration that matter to a process that does these parts.
func (p Parts) Warnings(cfg *config.Config) []string {
	return cfg.WarningsFor(p.HasAny(Intake, Reconcile), p.Has(Statuses))
}

// Whole tells whether no flag left anything out.
func (p Parts) Whole() bool { return len(p.only)+len(p.except) == 0 }

// Here are the names of those that this process does, Elsewhere of the others.
func (p Parts) Here() string { return p.list(true) }

// Elsewhere are the names of those that other processes do.
func (p Parts) Elsewhere() string { return p.list(false) }

func (p Parts) list(here bool) string {
	var names []string
	for _, part := range parts {
		if p.Has(part.Part) == here {
			names = append(names, string(part.Part))
		}
	}
	return strings.Join(names, ", ")
}

// DescribeParts has a line for each part, for the help of a command.
func DescribeParts() string {
	var lines []string
	for _, part := range parts {
		lines = append(lines, fmt.Sprintf("  %-9s  %s", part.Part, part.does))
	}
	return strings.Join(lines, "\n")
}
