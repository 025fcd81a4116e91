package sqldb_test

import (
	"context"
	"errors"
	neturl "net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// Probe leaves the schema to Migrate, and does not create what is not there.
func TestProbe(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for range 2 {
			if err := sqldb.Probe(t.Context(), url); (e.Name == "sqlite") != errors.Is(err, core.ErrNotFound) {
				t.Errorf("before the first start: %v", err)
			}
		}
		if n, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil || n == 0 {
			t.Fatalf("%d migrations, %v, want all of them", n, err)
		}
		if err := sqldb.Probe(t.Context(), url); err != nil {
			t.Errorf("after migrating: %v", err)
		}
	})
}

func TestProbeWithoutServer(t *testing.T) {
	t.Parallel()
	err := sqldb.Probe(t.Context(), "postgres://scanhook:hunter2@127.0.0.1:1/scanhook")
	if !errors.Is(err, core.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v, want core.ErrUnavailable without the password", err)
	}
}

func TestProbeOfUnknownDatabase(t *testing.T) {
	t.Parallel()
	url := strings.Replace(storetest.PostgresURL(t), "/postgres?", "/no_such_database?", 1)
	if err := sqldb.Probe(t.Context(), url); err == nil || errors.Is(err, core.ErrUnavailable) {
		t.Errorf("error = %v, want what the server says", err)
	}
}

// An error that a person has to repair says what to do, in every command.
func TestBrokenDatabaseAdvises(t *testing.T) {
	t.Parallel()
	broken := func(spoil func(content []byte) []byte) string {
		url := storetest.SQLiteURL(t)
		if err := migrateOnce(t, url, sqldb.Up); err != nil {
			t.Fatal(err)
		}
		file := strings.TrimPrefix(url, "sqlite:")
		content, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, spoil(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return url
	}
	for name, url := range map[string]string{
		"no database": broken(func(content []byte) []byte { return []byte(strings.Repeat("garbage ", len(content)/8)) }),
		"flipped bytes": broken(func(content []byte) []byte {
			for i := 100; i < 4096; i++ { // the schema's first page
				content[i] ^= 0xff
			}
			return content
		}),
	} {
		for command, err := range map[string]error{
			"check": sqldb.Probe(t.Context(), url), "serve": openAndClose(t, url), "migrate": migrateOnce(t, url, sqldb.Up),
		} {
			if err == nil || errors.Is(err, core.ErrUnavailable) || !strings.Contains(err.Error(), "put a backup in its place") {
				t.Errorf("%s, %s: %v, want advice", name, command, err)
			}
		}
	}
}

func TestServerThatOnlyReadsAdvises(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t) // empty, so that something is to be written
	for command, err := range map[string]error{
		"check":   sqldb.Probe(t.Context(), url+"&default_transaction_read_only=on"),
		"serve":   openAndClose(t, url+"&default_transaction_read_only=on"),
		"migrate": migrateOnce(t, url+"&default_transaction_read_only=on", sqldb.Up),
	} {
		if !errors.Is(err, core.ErrUnavailable) || !strings.Contains(err.Error(), "name the primary") {
			t.Errorf("%s: %v, want advice", command, err)
		}
	}
}

func TestVolatile(t *testing.T) {
	t.Parallel()
	url, sqlite := storetest.PostgresURL(t), storetest.SQLiteURL(t)
	if err := openAndClose(t, sqlite); err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string][]string{"on": nil, "remote_apply": nil, "local": nil, "off": {"synchronous_commit = off"}} {
		got, err := sqldb.Volatile(t.Context(), url+"&synchronous_commit="+setting)
		got = slices.DeleteFunc(got, func(s string) bool { return s == "fsync = off" }) // as a server for tests may have it
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("synchronous_commit %s: %q, %v, want %q", setting, got, err, want)
		}
	}
	if got, err := sqldb.Volatile(t.Context(), sqlite); err != nil || got != nil {
		t.Errorf("SQLite: %q, %v", got, err)
	}
}

// Several servers are written as libpq or as the driver takes them; the writable one is found.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	alone, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	hosts := *alone
	hosts.Host = "127.0.0.1:1," + alone.Host
	query := alone.Query()
	query.Set("host", "127.0.0.1,"+alone.Hostname())
	query.Set("port", "1,"+alone.Port())
	parameters := *alone
	parameters.Host, parameters.RawQuery = "", query.Encode()
	for _, several := range []string{hosts.String(), parameters.String()} {
		if err := openAndClose(t, several); err != nil {
			t.Errorf("%s: %v", several, err)
		}
	}
	if err := openAndClose(t, hosts.String()+"&default_transaction_read_only=on"); err == nil {
		t.Error("a server that only reads was taken")
	}
}

// Since PostgreSQL 15 a role may create nothing in public without a grant.
func TestRoleThatMayCreateNothingAdvises(t *testing.T) {
	t.Parallel()
	base := storetest.PostgresURL(t)
	parsed, err := neturl.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	role := parsed.Query().Get("search_path") // unique, and gone with the test
	storetest.Execute(t, base, `CREATE ROLE `+role+` LOGIN; GRANT USAGE ON SCHEMA `+role+` TO `+role)
	defer storetest.Execute(t, base, `DROP OWNED BY `+role+`; DROP ROLE `+role)
	parsed.User = neturl.User(role)
	url := parsed.String()
	for command, err := range map[string]error{
		"check": sqldb.Probe(t.Context(), url), "serve": openAndClose(t, url), "migrate": migrateOnce(t, url, sqldb.Up),
	} {
		if errors.Is(err, core.ErrUnavailable) || err == nil || !strings.Contains(err.Error(), "GRANT CREATE ON SCHEMA") {
			t.Errorf("%s: %v, want advice", command, err)
		}
	}
}

// Work that panics leaves its connection, and the right to write, to the next one.
func TestPanicEndsTheTransaction(t *testing.T) {
	t.Parallel()
	db := openDB(t, storetest.SQLiteURL(t))
	for range 3 {
		func() {
			defer func() { _ = recover() }()
			_ = db.Transact(t.Context(), func(*sqlx.Tx) error { panic("a fault") })
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := db.Transact(ctx, func(*sqlx.Tx) error { return nil }); err != nil {
		t.Error(err)
	}
}
