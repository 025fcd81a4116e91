package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/scanhook/scanhook/"

// layers are the packages by their layer. A package imports packages of lower layers only.
var layers = map[string]int{
	"cmd/scanhook": 3, "cmd/scanhook/check": 3, "cmd/scanhook/upload": 3, "cmd/scanhook/remote": 3, "cmd/scanhook/cli": 3,

	"webhooks": 2, "internal/api": 2, "internal/web": 2, "internal/statuses": 2, "internal/runner": 2, "internal/epss": 2,
	"internal/ingest": 2, "internal/reconcile": 2, "internal/actions": 2, "internal/enrich": 2, "internal/health": 2, "internal/retention": 2,
	"platforms/github": 2, "platforms/gitlab": 2, "platforms/gitea": 2, "platforms/ghapi": 1, "platforms/conversation": 1,

	"platforms": 1, "store": 1, "internal/reports": 1, "internal/httpx": 1, "internal/auth": 1, "internal/auth/ci": 1, "internal/ai": 1, "internal/fakeforge": 1,
	"internal/fakeforge/github": 1, "internal/fakeforge/gitlab": 1, "internal/fakeforge/gitea": 1, "internal/fakeforge/gitrepo": 1,
	"internal/metrics": 1, "internal/trace": 1, "internal/lease": 1, "internal/gitproto": 1,
	"internal/mirror": 1, "internal/runner/git": 1,
	"internal/runner/rules": 1, "internal/runner/blobs": 2, "internal/runner/gitleaks": 2, "internal/runner/source": 2, "internal/runner/evidence": 2, "internal/runner/git/gittest": 3,
	"internal/jsonscan": 1, "internal/reports/collect": 1, "internal/reports/sarif": 1, "internal/reports/formats": 1,
	"internal/reports/export": 1, "internal/documents": 1, "internal/reports/reportstest": 3,

	"store/sqldb": 1, "store/move": 1, "store/catalog": 1, "store/actions": 1, "store/notes": 1, "store/particulars": 1, "store/decisions": 1, "store/removal": 1,

	"core": 0, "core/access": 0, "core/alerts": 0, "core/approval": 0, "core/buttons": 0, "core/anomaly": 0, "core/details": 0, "core/intake": 0, "core/refs": 0, "core/intern": 0, "core/liveness": 0, "core/match": 0, "core/naming": 0, "core/patch": 0, "core/secrets": 0,
	"core/timeline": 0, "migrations": 0, "internal/poll": 0, "internal/config": 0, "internal/config/strictyaml": 0, "internal/suggest": 0,
	"internal/cage": 0, "internal/runner/sandbox": 0, "internal/runner/sandbox/sandboxtest": 3,

	"store/storetest": 3, "platforms/platformtest": 3, "internal/chaos": 3, "internal/upgrade": 3, "internal/failover": 3, "internal/bench": 3, "internal/growth": 3, "internal/scanbench": 3, "internal/servetest": 3, // for tests only
	"internal/fakeforge/forgetest": 3, "internal/auth/ci/citest": 3, "internal/trace/tracetest": 3,

	"internal/web/layout": 2, "internal/web/live": 2, "internal/web/signin": 2, "internal/web/chart": 2, "internal/web/detail": 2, "internal/web/badge": 2, "internal/web/workbench": 2, "internal/web/text": 1, "internal/api/paging": 1, "internal/api/docs": 1,
}

// within are the imports inside a layer: of a package below the one that imports it, or beside it in cmd.
var within = map[string][]string{
	"core":                       {"core/anomaly", "core/intern", "core/patch"},
	"core/access":                {"core"},
	"core/alerts":                {"core"},
	"core/approval":              {"core"},
	"core/buttons":               {"core"},
	"core/details":               {"core"},
	"core/intake":                {"core", "core/refs"},
	"core/match":                 {"core", "core/secrets"},
	"core/naming":                {"core"},
	"core/secrets":               {"core"},
	"core/timeline":              {"core", "core/approval"},
	"internal/cage":              {"internal/runner/sandbox"},
	"internal/auth":              {"internal/auth/ci", "store"},
	"internal/config":            {"core", "internal/config/strictyaml", "internal/suggest"},
	"internal/config/strictyaml": {"internal/suggest"},
	"internal/gitproto":          {"platforms"},
	"internal/mirror":            {"internal/gitproto", "internal/runner/git", "platforms"},
	"internal/runner":            {"internal/runner/blobs", "internal/runner/evidence", "internal/runner/gitleaks", "internal/runner/source"},
	"internal/runner/evidence":   {"internal/runner/blobs", "internal/runner/source"},
	"internal/runner/blobs":      {"internal/runner/gitleaks"},
	"internal/runner/git":        {"internal/gitproto", "internal/reports", "platforms"},
	"internal/runner/source":     {"internal/runner/gitleaks"},
	"cmd/scanhook":               {"cmd/scanhook/check", "cmd/scanhook/upload", "cmd/scanhook/remote", "cmd/scanhook/cli"},
	"cmd/scanhook/check":         {"cmd/scanhook/cli"},
	"cmd/scanhook/upload":        {"cmd/scanhook/remote", "cmd/scanhook/cli"},
	"cmd/scanhook/remote":        {"cmd/scanhook/cli"},
	"platforms":                  {"internal/jsonscan"},
	"platforms/conversation":     {"platforms"},
	"platforms/ghapi":            {"platforms", "platforms/conversation"},

	"internal/fakeforge":        {"internal/fakeforge/gitrepo"},
	"internal/fakeforge/github": {"internal/fakeforge", "internal/fakeforge/gitrepo"},
	"internal/fakeforge/gitlab": {"internal/fakeforge", "internal/fakeforge/gitrepo"},
	"internal/fakeforge/gitea":  {"internal/fakeforge", "internal/fakeforge/gitrepo", "internal/fakeforge/github"},

	"store":             {"store/sqldb", "store/actions", "store/catalog", "store/decisions", "store/notes", "store/particulars", "store/removal"},
	"store/actions":     {"store/sqldb"},
	"store/catalog":     {"store/sqldb"},
	"store/decisions":   {"store/sqldb"},
	"store/notes":       {"store/sqldb"},
	"store/removal":     {"store/sqldb"},
	"store/particulars": {"store/sqldb"},
	"store/move":        {"store/sqldb"},

	"internal/servetest": {"internal/fakeforge/forgetest"}, // both for tests only

	"internal/documents":       {"internal/httpx", "internal/reports/export", "store", "store/catalog"},
	"internal/reports":         {"internal/reports/formats", "internal/reports/collect", "internal/jsonscan"},
	"internal/reports/formats": {"internal/reports/sarif", "internal/reports/collect", "internal/jsonscan"},
	"internal/reports/sarif":   {"internal/reports/collect", "internal/jsonscan"},
	"internal/reports/collect": {"internal/jsonscan"},
	"internal/reports/export":  {"internal/reports/sarif", "internal/reports/collect"},

	"internal/web":           {"internal/web/layout", "internal/web/live", "internal/web/signin", "internal/web/chart", "internal/web/badge", "internal/web/detail", "internal/web/workbench"},
	"internal/web/layout":    {"internal/web/signin"},
	"internal/web/live":      {"internal/web/signin"},
	"internal/web/workbench": {"internal/web/layout"},
}

// libraries are the import paths, or their beginnings, that only some packages may import.
var libraries = map[string][]string{
	"github.com/jmoiron/sqlx":         {"store", "store/sqldb", "store/move", "store/actions", "store/decisions", "store/notes", "store/particulars", "store/removal"},
	"github.com/lib/pq":               {"store/sqldb"},
	"modernc.org/sqlite":              {"store/sqldb"},
	"github.com/rubenv/sql-migrate":   {"store/sqldb"},
	"github.com/google/go-github/":    {"platforms/ghapi", "platforms/github", "platforms/gitea"},
	"github.com/xanzy/go-gitlab":      {"platforms/gitlab"},
	"github.com/landlock-lsm/":        {"internal/cage"},
	"go.opentelemetry.io/":            {"internal/trace", "internal/trace/tracetest"},
	"github.com/zricethezav/gitleaks": {"internal/runner/gitleaks", "internal/runner/rules", "internal/reports"},
	"github.com/gin-gonic/gin":        {"webhooks", "internal/api", "internal/web", "internal/web/badge", "internal/web/layout", "internal/web/live", "internal/web/signin", "internal/web/workbench", "internal/httpx", "internal/health", "cmd/scanhook"},
	"github.com/klauspost/compress/":  {"internal/httpx"},
	"github.com/yuin/goldmark":        {"internal/web/detail"},
	"github.com/prometheus/":          {"internal/metrics", "internal/health"},
	module + "internal/config":        {"cmd/scanhook", "cmd/scanhook/check", "cmd/scanhook/cli", "cmd/scanhook/upload", "internal/config"},
	module + "store/storetest":        {},
	module + "platforms/platformtest": {},

	module + "internal/reports/reportstest": {},
}

// noIO are the imports that core does without.
var noIO = []string{"net/http", "net", "database/sql", "os", "os/exec", "log", "log/slog", "io/fs", "path/filepath"}

// overBudget is what still exceeds a budget of the structure, by the beginnings of the lines of
// go run ./.ci/structure -over. It shrinks; at the end it is empty, or says why not.
var overBudget = []string{
	"private uses: ", // files of the store share statements and row types that no other package should see
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// name is the import path below the module.
func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestPackagesImportDownwardsOnly(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		layer, known := layers[p.name()]
		if !known {
			t.Errorf("%s has no layer: give it one in this test and in docs/architecture.md", p.name())
		}
		for _, path := range p.Imports {
			below, ours := layers[strings.TrimPrefix(path, module)]
			if ours && below >= layer && !slices.Contains(within[p.name()], strings.TrimPrefix(path, module)) {
				t.Errorf("%s (layer %d) imports %s (layer %d)", p.name(), layer, path, below)
			}
		}
	}
}

func TestLibrariesAreImportedInTheirPackages(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if strings.HasSuffix(p.name(), "test") {
			continue
		}
		for _, path := range p.Imports {
			for library, allowed := range libraries {
				if strings.HasPrefix(path, library) && !slices.Contains(allowed, p.name()) {
					t.Errorf("%s imports %s; only %v may", p.name(), path, allowed)
				}
			}
			if strings.HasPrefix(p.name(), "core") && slices.Contains(noIO, path) {
				t.Errorf("%s imports %s: core does no I/O", p.name(), path)
			}
		}
	}
}

// The budgets of files, lines and functions are measured by the program behind make structure.
func TestStructureKeepsItsBudgets(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./.ci/structure", "-over")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if exit := new(exec.ExitError); len(out) == 0 && errors.As(err, &exit) {
		t.Fatalf("measuring: %v\n%s", err, exit.Stderr)
	} else if len(out) == 0 && err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if !slices.ContainsFunc(overBudget, func(known string) bool { return strings.HasPrefix(line, known) }) {
			t.Errorf("over budget: %s", strings.TrimSpace(line))
		}
	}
}

var (
	namedFile = regexp.MustCompile("`([\\w./]+/[\\w.]+\\.(?:go|sql|html|yaml|txtar))`")
	namedFunc = regexp.MustCompile("`([A-Za-z]\\w+)`")
)

// The documents for developers name files, and in a line behind a file what it declares. Both must exist.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for _, document := range []string{"CONTRIBUTING.md", filepath.Join("docs", "architecture.md")} {
		text, err := os.ReadFile(filepath.Join(root, document))
		if err != nil {
			t.Fatal(err)
		}
		for item := range strings.SplitSeq(strings.ReplaceAll(string(text), "\n   ", " "), "\n") {
			files := namedFile.FindAllStringSubmatchIndex(item, -1)
			for i, at := range files {
				file, end := item[at[2]:at[3]], len(item)
				if i+1 < len(files) {
					end = files[i+1][0]
				}
				source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
				if err != nil {
					t.Errorf("%s names %s, which does not exist", document, file)
					continue
				}
				for _, name := range namedFunc.FindAllStringSubmatch(item[at[1]:end], -1) {
					if !regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type |var |const |\t?)` + name[1] + `\b`).Match(source) {
						t.Errorf("%s names %s of %s, which is not declared there", document, name[1], file)
					}
				}
			}
		}
	}
}
