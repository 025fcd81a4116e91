package migrations

import (
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "add the migrations that landed.sum lacks")

// landedSum has a line for each migration that landed, in the form of sha256sum. Before the first release, it is not there.
const landedSum = "landed.sum"

// Databases were made by the migrations that have landed: they never change. After the first release each migration is in
// landed.sum; go test ./migrations -record adds new ones.
func TestLandedMigrationsNeverChange(t *testing.T) {
	t.Parallel()
	landed, now := landedHashes(t), presentHashes(t)
	for _, file := range slices.Sorted(maps.Keys(landed)) {
		if now[file] != landed[file] {
			t.Errorf("%s has landed and never changes: put what it shall do now into a file with the next number", file)
		}
	}
	if !*record && !released(t) {
		return
	}
	for _, file := range slices.Sorted(maps.Keys(now)) {
		switch {
		case landed[file] != "":
		case *record:
			appendLine(t, now[file]+"  "+file+"\n")
		default:
			t.Errorf("%s is not in %s: go test ./migrations -record adds it, and from then on it never changes", file, landedSum)
		}
	}
}

// released tells whether CHANGELOG.md names a release.
func released(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^## \[\d`).Match(text)
}

func landedHashes(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(landedSum)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	landed := map[string]string{}
	for line := range strings.Lines(string(text)) {
		hash, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		landed[file] = hash
	}
	return landed
}

func presentHashes(t *testing.T) map[string]string {
	t.Helper()
	present := map[string]string{}
	for _, engine := range []string{"postgres", "sqlite"} {
		hashes, err := Hashes(engine)
		if err != nil || len(hashes) == 0 {
			t.Fatalf("the migrations of %s: %v, %v", engine, hashes, err)
		}
		for file, hash := range hashes {
			present[engine+"/"+file] = hash
		}
	}
	return present
}

func appendLine(t *testing.T, line string) {
	t.Helper()
	file, err := os.OpenFile(landedSum, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(line); err != nil {
		t.Fatal(err)
	}
}
