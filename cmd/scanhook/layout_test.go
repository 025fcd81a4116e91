package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/scanhook/scanhook/"

// floors is the house: a room imports rooms of lower floors only. cmd/scanhook stands on floor 3.
var floors = map[string]int{
	"cmd/scanhook": 3,

	"webhooks": 2, "internal/api": 2, "internal/web": 2, "internal/statuses": 2, "internal/runner": 2, "internal/epss": 2,
	"internal/reconcile": 2, "internal/enrich": 2, "internal/health": 2, "internal/retention": 2,
	"platforms/github": 2, "platforms/gitlab": 2, "platforms/gitea": 2, "platforms/ghapi": 1,

	"platforms": 1, "store": 1, "internal/reports": 1, "internal/httpx": 1, "internal/ai": 1, "internal/fakeforge": 1,
	"internal/fakeforge/github": 1, "internal/fakeforge/gitlab": 1,
	"internal/metrics": 1, "internal/lease": 1, "internal/gitproto": 1,
	"internal/reports/jsonscan": 1, "internal/reports/collect": 1, "internal/reports/sarif": 1, "internal/reports/formats": 1,
	"internal/reports/export": 1, "internal/reports/reportstest": 3,

	"store/sqldb": 1,

	"core": 0, "core/anomaly": 0, "core/liveness": 0, "migrations": 0, "internal/poll": 0, "internal/config": 0,

	"store/storetest": 3, "platforms/platformtest": 3, "internal/chaos": 3, "internal/growth": 3, "internal/fakeforge/forgetest": 3, // for tests only

	"internal/web/layout": 2, "internal/web/signin": 2, "internal/web/chart": 2, "internal/web/text": 1, "internal/api/paging": 1,
}

// within are the imports inside a floor: an algorithm of core is a package below it, which may not import core.
var within = map[string][]string{
	"core":              {"core/anomaly"},
	"internal/gitproto": {"platforms"},
	"platforms/ghapi":   {"platforms"},

	"internal/fakeforge/github": {"internal/fakeforge"},
	"internal/fakeforge/gitlab": {"internal/fakeforge"},

	"store": {"store/sqldb"},

	"internal/reports":         {"internal/reports/formats", "internal/reports/collect", "internal/reports/jsonscan"},
	"internal/reports/formats": {"internal/reports/sarif", "internal/reports/collect", "internal/reports/jsonscan"},
	"internal/reports/sarif":   {"internal/reports/collect", "internal/reports/jsonscan"},
	"internal/reports/collect": {"internal/reports/jsonscan"},
	"internal/reports/export":  {"internal/reports/sarif", "internal/reports/collect"},

	"internal/web":        {"internal/web/layout", "internal/web/signin", "internal/web/chart"},
	"internal/web/layout": {"internal/web/signin"},
}

// keepers are the only rooms that may import a library; the key is the beginning of an import path.
var keepers = map[string][]string{
	"github.com/jmoiron/sqlx":         {"store", "store/sqldb"},
	"github.com/lib/pq":               {"store/sqldb"},
	"modernc.org/sqlite":              {"store/sqldb"},
	"github.com/rubenv/sql-migrate":   {"store/sqldb"},
	"github.com/google/go-github/":    {"platforms/ghapi", "platforms/github", "platforms/gitea"},
	"github.com/xanzy/go-gitlab":      {"platforms/gitlab"},
	"github.com/zricethezav/gitleaks": {"internal/runner", "internal/reports"},
	"github.com/gin-gonic/gin":        {"webhooks", "internal/api", "internal/web", "internal/web/layout", "internal/web/signin", "internal/httpx", "internal/health", "cmd/scanhook"},
	"github.com/klauspost/compress/":  {"internal/httpx"},
	"github.com/prometheus/":          {"internal/metrics", "internal/health"},
	module + "internal/config":        {"cmd/scanhook"},
	module + "store/storetest":        {},
	module + "platforms/platformtest": {},

	module + "internal/reports/reportstest": {},
}

// noIO are what core does without.
var noIO = []string{"net/http", "net", "database/sql", "os", "os/exec", "log", "log/slog", "io/fs", "path/filepath"}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func (p goPackage) room() string { return strings.TrimPrefix(p.ImportPath, module) }

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

func TestRoomsImportDownwardsOnly(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		floor, known := floors[p.room()]
		if !known {
			t.Errorf("%s has no floor: give it one in this test and in README", p.room())
		}
		for _, path := range p.Imports {
			below, ours := floors[strings.TrimPrefix(path, module)]
			if ours && below >= floor && !slices.Contains(within[p.room()], strings.TrimPrefix(path, module)) {
				t.Errorf("%s (floor %d) imports %s (floor %d)", p.room(), floor, path, below)
			}
		}
	}
}

func TestLibrariesHaveKeepers(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if strings.HasSuffix(p.room(), "test") {
			continue
		}
		for _, path := range p.Imports {
			for library, keeper := range keepers {
				if strings.HasPrefix(path, library) && !slices.Contains(keeper, p.room()) {
					t.Errorf("%s imports %s; only %v may", p.room(), path, keeper)
				}
			}
			if strings.HasPrefix(p.room(), "core") && slices.Contains(noIO, path) {
				t.Errorf("%s imports %s: core does no I/O", p.room(), path)
			}
		}
	}
}
