package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/lib/pq"
	sqlitedriver "modernc.org/sqlite"

	"github.com/scanhook/scanhook/core"
)

// Classify wraps an error of a driver in the sentinel that it means, once; by code, never by message.
func Classify(err error) error {
	switch {
	case err == nil || errors.Is(err, core.ErrUnavailable):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return core.ErrNotFound // sql.ErrNoRows adds nothing, callers test the sentinel
	case isUnavailable(err):
		return fmt.Errorf("%w: database: %w%s", core.ErrUnavailable, err, adviceOn(err))
	}
	if advice := adviceOn(err); advice != "" {
		return fmt.Errorf("%w%s", err, advice)
	}
	return err
}

const adviceReadOnly = ": the server only reads, as a standby does; let database.url name the primary, or all servers"

const adviceDamaged = ": the file is damaged; stop scanhook, move the file with its -wal and -shm away and put a backup in its " +
	"place, or what sqlite3 FILE .recover can save of it"

// adviceOn tells what to do about a database that a person has to repair: SQLite's 8 read-only, 11 corrupt and 26 not a
// database, and a server that is read-only or permits no new tables.
func adviceOn(err error) string {
	if server := new(pq.Error); errors.As(err, &server) {
		return adviceOnServer(server)
	}
	file := new(sqlitedriver.Error)
	if !errors.As(err, &file) {
		return ""
	}
	switch file.Code() & 0xff {
	case 8:
		return ": let the user that scanhook runs as write the file, its -wal and -shm, and the folder"
	case 11, 26:
		return adviceDamaged
	}
	return ""
}

func adviceOnServer(err *pq.Error) string {
	switch {
	case err.Code == "25006":
		return adviceReadOnly
	case err.Code == "42501" && strings.Contains(err.Message, "schema"), err.Code == "3F000":
		return adviceSchema
	}
	return ""
}

// adviceSchema is about 42501 insufficient privilege and 3F000 no schema, which occur at the first start: since
// PostgreSQL 15 only the owner of a database may create tables in its schema public.
const adviceSchema = ": let the role create tables: GRANT CREATE ON SCHEMA public TO the role of database.url, or give it a " +
	"schema of its own that search_path names"

// isUnavailable tells whether trying again later can help: the connection or the server is gone, or it is too busy.
func isUnavailable(err error) bool {
	var netError net.Error
	if path := new(fs.PathError); errors.As(err, &path) { // its number has the methods of a net.Error
		return false
	}
	if errors.As(err, &netError) {
		return true
	}
	for _, gone := range []error{
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET,
		syscall.EPIPE, context.DeadlineExceeded,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	if server := new(pq.Error); errors.As(err, &server) {
		return isPostgresUnavailable(string(server.Code))
	}
	if file := new(sqlitedriver.Error); errors.As(err, &file) {
		return isSQLiteUnavailable(file.Code() & 0xff)
	}
	return false
}

// IsUndefined tells whether a statement names a table that the schema does not have: 42P01, and SQLite's 1.
func IsUndefined(err error) bool {
	if server := new(pq.Error); errors.As(err, &server) {
		return server.Code == "42P01"
	}
	file := new(sqlitedriver.Error)
	return errors.As(err, &file) && file.Code() == 1
}

// isPostgresUnavailable names the SQLSTATE classes: 08 connection, 53 resources, 57 operator intervention, 58 system, 40
// serialization and deadlock, 25006 for a server that became a read-only replica, 25P03 for a transaction that
// was idle for too long, and 55P03 for one that waited longer for a lock than the role's lock_timeout says.
func isPostgresUnavailable(code string) bool {
	for _, class := range []string{"08", "53", "57", "58", "40", "25006", "25P03", "55P03"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// IsUnwritable tells whether the server answers but does not write: 53100 disk full, 58030 I/O error, 25006 read-only, and
// SQLite's 8 read-only, 10 I/O, 13 full.
func IsUnwritable(err error) bool {
	if server := new(pq.Error); errors.As(err, &server) {
		return slices.Contains([]string{"53100", "58030", "25006"}, string(server.Code))
	}
	file := new(sqlitedriver.Error)
	return errors.As(err, &file) && slices.Contains([]int{8, 10, 13}, file.Code()&0xff)
}

// isDeadlock tells whether PostgreSQL ended the transaction so that another one can go on: 40P01 deadlock, 40001
// serialization.
func isDeadlock(err error) bool {
	server := new(pq.Error)
	return errors.As(err, &server) && (server.Code == "40P01" || server.Code == "40001")
}

// isSQLiteUnavailable names primary result codes: 5 busy, 6 locked, 8 read-only, 10 I/O, 13 full, 14 cannot open.
func isSQLiteUnavailable(code int) bool {
	switch code {
	case 5, 6, 8, 10, 13, 14:
		return true
	}
	return false
}
