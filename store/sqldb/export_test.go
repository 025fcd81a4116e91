package sqldb

import "context"

// LockMigrations keeps others from migrating the database at url until unlock.
func LockMigrations(ctx context.Context, url string) (unlock func(), err error) {
	db, d, err := connect(Config{URL: url})
	if err != nil {
		return nil, err
	}
	_, release, err := migration{db: db, dialect: d}.acquire(ctx)
	return func() {
		release()
		_ = db.Close()
	}, err
}
