package store

import (
	"reflect"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// The columns of each table whose rows are read whole. Statements name them, for a newer Scanhook that shares the
// database may have added columns of which this one knows nothing.
var (
	auditColumns    = columnsOf[core.AuditEvent]()
	deliveryColumns = columnsOf[core.KeptDelivery]()
	eventColumns    = columnsOf[core.TriageEvent]()
	feedColumns     = columnsOf[core.FeedImport]()
	findingColumns  = columnsOf[core.Finding]()
	hookColumns     = columnsOf[HookPlace]()
	jobColumns      = columnsOf[core.Job]()
	lookupColumns   = columnsOf[Lookup]()
	postColumns     = columnsOf[core.StatusPost]()
	rhythmColumns   = columnsOf[rhythmRow]()
	runColumns      = columnsOf[core.PipelineRun]()
	scanColumns     = columnsOf[core.Scan]()
	scoreColumns    = columnsOf[core.Score]()
	secretColumns   = columnsOf[core.SecretUse]()
	statusColumns   = columnsOf[core.Status]()
	troubleColumns  = columnsOf[core.Trouble]()
	watchedColumns  = columnsOf[Watched]()
	wordColumns     = columnsOf[core.Word]()
)

// columnsOf lists the columns that the db tags of T name, but for those that are computed: the statements that want
// them tell how.
func columnsOf[T any]() string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, option, _ := strings.Cut(field.Tag.Get("db"), ",")
		if name != "" && name != "-" && option != "computed" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// of names the columns of one table among several, by its name or alias.
func of(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}
