//go:build linux

package servetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Load is what the platforms announce in a run.
type Load struct {
	Seed       uint64
	Deliveries int     // different ones, of pushes and pipelines; repetitions come on top
	PerSecond  float64 // deliveries, spread evenly
	Checked    int     // of them commits that Scanhook itself checks out and scans
	NoReports  bool    // no scanner delivers any
}

// Needed is how long it takes to send it.
func (l Load) Needed() time.Duration {
	return time.Duration(float64(l.Deliveries) / l.PerSecond * float64(time.Second))
}

// Shares of the deliveries that something happens to.
const (
	shareLost     = 0.03 // the hook never arrives; an operator sends it again later
	shareDouble   = 0.05 // the hook arrives twice
	shareSecond   = 0.03 // a second branch is pushed to the same commit
	shareUploaded = 0.75 // a scanner delivers its report; the others stay pending
	shareEarly    = 0.02 // … before the push arrives
	shareNoCI     = 0.20 // GitLab: the project has no pipeline of its own for the commit
	shareBuilt    = 0.50 // a pipeline of CI ends, and the platform tells so
)

const (
	branchesPerApp = 20
	shuffled       = 40 // deliveries among which the order is lost
	maxFindings    = 3
	firstPipeline  = 1 << 40 // the ids of the pipelines that are told of begin here
)

// Push is one planned delivery.
type Push struct {
	n         int
	platform  string // key in the configuration
	project   string
	branch    string
	before    string
	sha       string
	lost      bool
	double    bool
	early     bool
	noCI      bool
	built     bool
	checked   bool // Scanhook scans it itself
	uploaded  bool
	findings  int  // in the uploaded report
	scanTwice bool // announces a commit that another push announces as well
}

func (p *Push) commit() string { return p.platform + "/" + p.project + "@" + p.sha }

// Plan makes the deliveries of a run in the order in which they arrive. checked are the commits that git holds, oldest
// first.
func (l Load) Plan(checked []string) []*Push {
	random := rand.New(rand.NewPCG(l.Seed, 1))
	heads := map[string]string{}
	every := max(1, l.Deliveries*3/4/max(1, l.Checked)) // a quarter tells of pipelines
	var pushes []*Push
	left := l.Deliveries
	for n := 0; left > 0; n++ {
		p := newPush(n, random)
		if l.NoReports {
			p.uploaded, p.early = false, false
		}
		if l.Checked > 0 && n%every == 0 && len(checked) > 0 {
			p.project, p.checked, p.uploaded, p.early = checkedProject, true, false, false
			p.sha, checked = checked[0], checked[1:]
		}
		branch := p.platform + "/" + p.project + "/" + p.branch
		p.before, heads[branch] = heads[branch], p.sha
		pushes, left = append(pushes, p), left-p.deliveries()
		if random.Float64() < shareSecond && left > 0 {
			pushes, left = append(pushes, p.again(random)), left-1
		}
	}
	for i := range pushes {
		j := min(i+random.IntN(shuffled), len(pushes)-1)
		pushes[i], pushes[j] = pushes[j], pushes[i]
	}
	return pushes
}

// deliveries is how many different ones tell of the push.
func (p *Push) deliveries() int {
	if p.built {
		return 2
	}
	return 1
}

func newPush(n int, random *rand.Rand) *Push {
	p := &Push{
		n: n, platform: PlatformNames[n%len(PlatformNames)],
		project: fmt.Sprintf("acme/app-%d", random.IntN(appsPerPlatform)),
		branch:  "main",
		sha:     randomSHA(random),
		lost:    random.Float64() < shareLost, double: random.Float64() < shareDouble,
		noCI: random.Float64() < shareNoCI, uploaded: random.Float64() < shareUploaded,
		findings: random.IntN(maxFindings + 1),
	}
	p.built = !p.noCI && random.Float64() < shareBuilt
	p.early = p.uploaded && random.Float64() < shareEarly
	if random.Float64() < 0.7 {
		p.branch = fmt.Sprintf("topic/%d", random.IntN(branchesPerApp))
	}
	return p
}

// again is the same commit on another branch.
func (p *Push) again(random *rand.Rand) *Push {
	second := *p
	second.branch, second.before = fmt.Sprintf("release/%d", random.IntN(branchesPerApp)), ""
	second.uploaded, second.early, second.double, second.built = false, false, false, false
	p.scanTwice, second.scanTwice = true, true
	return &second
}

func randomSHA(random *rand.Rand) string {
	var sha strings.Builder
	for sha.Len() < 40 {
		fmt.Fprintf(&sha, "%08x", random.Uint32())
	}
	return sha.String()
}
