//go:build linux

package scanbench

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/internal/servetest"
)

const configuration = `
server: {listen: %[1]q, public_url: "http://scanhook.example"}
database: {url: "${DATABASE}"}
platforms:
  github: {url: %[2]q, webhook_secrets: ["${SECRET}"], token: "${TOKEN}"}
epss: {enabled: false}
recover: {every: 0}
runner: {cache: %[3]q}
repositories:
  - {match: "**", scanners: [gitleaks]}
`

// longest bounds how long a scan may take.
const longest = 10 * time.Minute

// bench is a scanhook that scans projects with one history, beside the command.
type bench struct {
	t          *testing.T
	repository *repository
	making     sync.Mutex // guards the repository where several use it
	forge      *fakeforge.Server
	replica    *servetest.Replica
	database   servetest.Database
	mirrors    string // their directory
	command    usage  // of gitleaks
}

func newBench(t *testing.T, binary string, r *repository) *bench {
	t.Helper()
	secret, token, dir := rand.Text(), rand.Text(), t.TempDir()
	b := &bench{
		t: t, repository: r, database: servetest.SQLite(t), mirrors: filepath.Join(dir, "mirrors"),
		forge: fakegithub.New(fakeforge.Config{Secret: secret, Token: token, Allowance: 1 << 30}),
	}
	base := "http://" + servetest.ServeForge(t, b.forge, 1)[0]
	b.replica = servetest.NewReplica(t, "scanhook", binary, dir, func(listen string) string {
		return fmt.Sprintf(configuration, listen, base, b.mirrors)
	}, "DATABASE="+b.database.URL, "SECRET="+secret, "TOKEN="+token)
	b.replica.Start()
	b.replica.AwaitReady(t)
	return b
}

// project makes another project with the same history, which nobody has scanned.
func (b *bench) project(name string) string {
	b.forge.AddRepository(fakeforge.Repository{Project: "acme/" + name, Dir: b.repository.dir})
	return "acme/" + name
}

// push announces a move of a branch. It returns when its head has a final status, and how long that took.
func (b *bench) push(project, branch, before, after, want string) time.Duration {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), longest)
	defer cancel()
	delivery, err := b.forge.BuildPush(ctx, fakeforge.PushSpec{Project: project, Ref: "refs/heads/" + branch, Before: before, After: after})
	if err != nil {
		b.t.Fatal(err)
	}
	began := time.Now()
	delivery, err = b.forge.Send(ctx, b.replica.Address+"/webhooks/github", delivery)
	if err != nil || delivery.Status != http.StatusAccepted {
		b.t.Fatalf("push to %s: %d %s, %v", project, delivery.Status, delivery.Answer, err)
	}
	final, err := b.forge.Wait(ctx, func(s fakeforge.Status) bool { return s.Project == project && s.SHA == after && s.State != "pending" })
	if err != nil {
		b.t.Fatalf("no final status of %s in %s: %v", after, project, err)
	}
	took := time.Since(began)
	if final.State != want {
		b.t.Errorf("%s in %s is %s, want %s: %s", after, project, final.State, want, final.Description)
	}
	return took
}

// cpu is what serve and its children use from before do until they are at rest again.
func (b *bench) cpu(do func()) time.Duration {
	b.t.Helper()
	before := b.used()
	do()
	return b.used() - before
}

// used is what serve has used, when none of its children runs.
func (b *bench) used() time.Duration {
	pid := b.replica.Pid()
	isChild := func(other int) bool { return servetest.StatOf(other).Parent == pid }
	for quiet := 0; quiet < 3; quiet++ {
		time.Sleep(20 * time.Millisecond)
		if slices.ContainsFunc(servetest.Processes(), isChild) {
			quiet = 0
		}
	}
	return servetest.StatOf(pid).CPU
}

// wantFound compares what the scan of a commit has found with the secrets at the head of main, and more.
func (b *bench) wantFound(project, sha string, more ...finding) {
	b.t.Helper()
	rows, err := b.database.Open(b.t).QueryContext(b.t.Context(), `
		SELECT f.file, f.line, f.rule_id FROM findings f JOIN scans s ON s.id = f.scan_id
		WHERE s.project_name = $1 AND s.commit_sha = $2 AND f.baseline_state <> 'absent'`, project, sha)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var found []finding
	for rows.Next() {
		var f finding
		if err := rows.Scan(&f.File, &f.Line, &f.Rule); err != nil {
			b.t.Fatal(err)
		}
		found = append(found, f)
	}
	if err := rows.Err(); err != nil {
		b.t.Fatal(err)
	}
	b.wantLeaks("scanhook in "+sha, found, more...)
}

func (b *bench) wantLeaks(who string, found []finding, more ...finding) {
	b.t.Helper()
	byPlace := func(x, y finding) int { return cmp.Or(strings.Compare(x.File, y.File), x.Line-y.Line) }
	want := slices.SortedFunc(slices.Values(slices.Concat(b.repository.leaks, more)), byPlace)
	if diff := gocmp.Diff(want, slices.SortedFunc(slices.Values(found), byPlace)); diff != "" {
		b.t.Errorf("secrets that %s finds (-want +got):\n%s", who, diff)
	}
}

// firstScans alternates between the command and scans of projects that are new.
func (b *bench) firstScans(table *figures, command string) {
	dir := b.repository.checkOut(b.t)
	var commandCPU, commandClock, cpu, clock []time.Duration
	for n := range *rounds {
		used, found := runCommand(b.t, command, dir)
		commandCPU, commandClock = append(commandCPU, used.cpu), append(commandClock, used.clock)
		b.wantLeaks("gitleaks", found)
		project := b.project(fmt.Sprint("first-", n))
		cpu = append(cpu, b.cpu(func() { clock = append(clock, b.push(project, "main", "", b.repository.head, "failure")) }))
		b.wantFound(project, b.repository.head)
	}
	b.command = usage{median(commandCPU), median(commandClock)}
	most := mostFirst
	if strings.Contains(*tags, "gore2regex") {
		most = mostFirstRE2
	}
	table.line("first scan, CPU", b.command.cpu, median(cpu), most)
	table.line("first scan, until the final status", b.command.clock, median(clock), most)
}

// singlePushes changes a few files, again and again. The last push brings a secret.
func (b *bench) singlePushes(table *figures) {
	var clock []time.Duration
	project, r := "acme/first-0", b.repository
	cpu := b.cpu(func() {
		for range *single {
			before := r.push(b.t, 1, nil)
			clock = append(clock, b.push(project, "main", before, r.head, "success"))
		}
	})
	b.wantFound(project, r.head)
	table.line(fmt.Sprintf("push of %d changed files, CPU", changedFiles), b.command.cpu, cpu/time.Duration(*single), mostPush)
	table.line("  until the final status", b.command.clock, median(clock), mostWait)
	b.leak(project, "fresh.yaml", textOf(r.random, "yaml", fileSize))
}

// leak pushes a file with a secret at its end.
func (b *bench) leak(project, name, text string) {
	b.t.Helper()
	before := b.repository.push(b.t, 1, map[string]string{name: b.repository.plant(name, text, len(b.repository.leaks))})
	b.push(project, "main", before, b.repository.head, "failure")
	b.wantFound(project, b.repository.head)
}

// history pushes many commits at once.
func (b *bench) history(table *figures) {
	r := b.repository
	before := r.push(b.t, *history, nil)
	cpu := b.cpu(func() { b.push("acme/first-0", "main", before, r.head, "success") })
	b.wantFound("acme/first-0", r.head)
	table.line(fmt.Sprintf("push of %d commits, CPU", *history), b.command.cpu, cpu, mostHistory)
}

// manyProjects pushes new branches of many projects at the same time.
func (b *bench) manyProjects(table *figures) {
	r := b.repository
	var all, heads []string
	for n := range *projects {
		all = append(all, b.project(fmt.Sprint("many-", n)))
		b.push(all[n], "main", "", r.head, "failure")
	}
	for n := range *pushes {
		heads = append(heads, r.branch(b.t, fmt.Sprint("topic-", n), nil))
	}
	cpu := b.cpu(func() {
		var sending sync.WaitGroup
		for n, head := range heads {
			sending.Go(func() { b.push(all[n%len(all)], fmt.Sprint("topic-", n), "", head, "success") })
		}
		sending.Wait()
	})
	name := fmt.Sprintf("%d pushes over %d projects, CPU of each", *pushes, *projects)
	table.line(name, b.command.cpu, cpu/time.Duration(*pushes), mostOfMany)
}

// largeText pushes a large text to a process that has scanned nothing yet.
func (b *bench) largeText(table *figures) {
	table.memory("peak memory until then", b.peak())
	b.replica.Stop(b.t)
	b.replica.Start()
	b.replica.AwaitReady(b.t)
	table.memory("peak memory after a start", b.peak())
	b.leak("acme/first-0", "large.ts", textOf(b.repository.random, "ts", *large))
	table.memory(fmt.Sprintf("peak memory with a text of %.1f MB", float64(*large)/1e6), b.peak())
}

// peak is the most memory that serve has had, in bytes.
func (b *bench) peak() (bytes int) {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.replica.Pid()))
	if err != nil {
		b.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscan(rest, &bytes); err != nil {
		b.t.Fatal(err)
	}
	return bytes << 10
}
