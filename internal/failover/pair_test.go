//go:build linux

package failover

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/servetest"
)

// pair are two PostgreSQL servers, of which one follows the other one.
type pair struct {
	primary, standby *servetest.Postgres
	synchronous      bool // a commit waits until it is on the standby's disk too
}

// standbyName is what synchronous_standby_names asks for.
const standbyName = "follower"

func newPair(t *testing.T, synchronous bool) *pair {
	t.Helper()
	p := &pair{primary: servetest.NewPostgres(t), standby: servetest.NewPostgres(t), synchronous: synchronous}
	if err := p.primary.Init(); err != nil {
		t.Fatal(err)
	}
	if err := p.primary.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// url names both servers, as an administrator does.
func (p *pair) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable", p.primary.Port, p.standby.Port)
}

// follow makes the standby a copy of the primary that receives what is written from then on, and returns when it does.
func (p *pair) follow(ctx context.Context) error {
	if err := os.RemoveAll(p.standby.Data()); err != nil {
		return err
	}
	source := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=%s", p.primary.Port, standbyName)
	if err := p.standby.Run("pg_basebackup", "-D", p.standby.Data(), "-d", source, "-R", "-X", "stream", "-c", "fast"); err != nil {
		return err
	}
	if err := p.standby.Start(); err != nil {
		return err
	}
	if !p.synchronous {
		return p.await(ctx, "async")
	}
	if err := p.configure(ctx, `ALTER SYSTEM SET synchronous_standby_names = '`+standbyName+`'`); err != nil {
		return err
	}
	return p.await(ctx, "sync")
}

// configure changes a setting of the primary.
func (p *pair) configure(ctx context.Context, statement string) error {
	db, err := sql.Open("postgres", p.primary.URL())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []string{statement, `SELECT pg_reload_conf()`} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the primary knows the standby in a state.
func (p *pair) await(ctx context.Context, state string) error {
	db, err := sql.Open("postgres", p.primary.URL())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var found string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(sync_state), '') FROM pg_stat_replication WHERE state = 'streaming'`).Scan(&found)
		if err == nil && found == state {
			return nil
		}
		if !poll.Sleep(ctx, 50*time.Millisecond) {
			break
		}
	}
	return fmt.Errorf("the standby is %q, not %q: %w", found, state, err)
}

// isolate stops the primary from sending anything to the standby, as a network does that fails shortly before the machine.
func (p *pair) isolate() error { return p.primary.SignalAll(syscall.SIGSTOP, "walsender") }

// promote makes the standby the primary, on which nobody waits for another standby yet.
func (p *pair) promote(ctx context.Context) error {
	p.primary, p.standby = p.standby, p.primary
	if err := p.primary.Control("promote"); err != nil {
		return err
	}
	return p.configure(ctx, `ALTER SYSTEM RESET synchronous_standby_names`)
}
