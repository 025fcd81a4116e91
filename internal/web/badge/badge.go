// Package badge draws how the default branch of a project stands, for README files of projects that allow it.
package badge

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// Config holds what badges are drawn from.
type Config struct {
	Store    *store.Store
	Policies core.Policies
}

// Badge is what is said of a project, in a colour of CSS.
type Badge struct{ Text, Colour string }

// The colours have enough contrast to white text.
const (
	red    = "#b91c1c"
	orange = "#b45309"
	green  = "#15803d"
	grey   = "#57606a"
)

// Show answers with the badge of a project whose policy allows it. Of all others it says the same: that there is none.
func (c Config) Show(to *gin.Context) error {
	platform, name := to.Param("platform"), strings.Trim(to.Param("project"), "/")
	name, drawn := strings.CutSuffix(name, ".svg")
	policy, configured := c.Policies.For(platform, name)
	if !drawn || !configured || policy.Badges != core.BadgesPublic {
		return noBadge(name)
	}
	badge, err := c.of(to.Request.Context(), platform, name)
	if errors.Is(err, core.ErrNotFound) {
		return noBadge(name)
	}
	if err != nil {
		return err
	}
	to.Header("Cache-Control", "public, max-age=60")
	to.Data(http.StatusOK, "image/svg+xml; charset=utf-8", []byte(badge.SVG()))
	return nil
}

func noBadge(name string) error {
	return fmt.Errorf("%w: there is no badge of %s; set badges: public for the repository, and end the address with .svg", core.ErrNotFound, name)
}

func (c Config) of(ctx context.Context, platform, name string) (Badge, error) {
	project, err := c.Store.GetProject(ctx, platform, name)
	if err != nil {
		return Badge{}, err
	}
	scan, err := c.Store.HeadScan(ctx, project)
	if errors.Is(err, core.ErrNotFound) {
		return Badge{"not scanned yet", grey}, nil
	}
	if err != nil {
		return Badge{}, err
	}
	jobs, err := c.Store.ListJobs(ctx, scan)
	if err != nil {
		return Badge{}, err
	}
	open, err := c.Store.Catalog().OpenBySeverity(ctx, project.ID)
	return Of(scan, jobs, open), err
}

// Of says how a branch stands whose head has this ended scan: which findings are open, whoever brought them. What was not searched is
// not called clean.
func Of(scan core.Scan, jobs []core.Job, open map[core.Severity]int) Badge {
	if scan.Status == core.ScanFailed {
		return Badge{"scan failed", grey}
	}
	var parts []string
	for _, severity := range core.Severities {
		if n := open[severity]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(string(severity))))
		}
	}
	notSearched := 0
	for _, job := range jobs {
		if coverage := job.Coverage(); coverage != nil {
			notSearched += coverage.NotSearched()
		}
	}
	badge := Badge{strings.Join(parts, ", "), orange}
	switch {
	case open[core.Critical]+open[core.High] > 0:
		badge.Colour = red
	case len(parts) == 0 && notSearched > 0:
		badge = Badge{fmt.Sprintf("no open findings, %d not searched", notSearched), grey}
	case len(parts) == 0:
		badge = Badge{"no open findings", green}
	}
	return badge
}

//go:embed badge.svg
var drawing string

var drawn = template.Must(template.New("badge.svg").Parse(drawing))

const (
	label    = "scanhook"
	perChar  = 7  // units of the drawing that a character takes
	marginOf = 10 // beside the text
)

// SVG draws the badge.
func (b Badge) SVG() string {
	var out strings.Builder
	left, right := widthOf(label), widthOf(b.Text)
	_ = drawn.Execute(&out, map[string]any{ // a Builder takes all
		"Label": label, "Text": b.Text, "Colour": b.Colour, "Left": left, "Right": right, "Width": left + right,
		"LabelAt": left / 2, "TextAt": left + right/2, "LabelLength": left - 2*marginOf, "TextLength": right - 2*marginOf,
	})
	return out.String()
}

func widthOf(text string) int { return perChar*utf8.RuneCountInString(text) + 2*marginOf }
