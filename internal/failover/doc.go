// Package failover holds Scanhook to its promise that a 2xx is kept, also when the database's machine is lost: `make failover` kills
// a PostgreSQL primary with all its processes and promotes its standby, under a steady stream of pushes, pipelines and reports. The
// replicas name both servers in database.url and are never restarted. With synchronous replication nothing that was acknowledged
// may be lost; without it something is, which shows that the checks would notice.
//
// It consists of tests alone. Reading order: failover_test.go, pair_test.go.
package failover
