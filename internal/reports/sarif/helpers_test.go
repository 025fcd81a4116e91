package sarif_test

import (
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

// rules are the driver and an extension that the tests below refer to.
const rules = `"tool":{"driver":{"name":"tool","globalMessageStrings":{"all":{"text":"for {0}"}},"rules":[
	{"id":"err","defaultConfiguration":{"level":"error"},"shortDescription":{"text":"An error"}},
	{"id":"same","name":"First"},{"id":"same","name":"Second"},
	{"id":"scored","properties":{"security-severity":"9.8"},"messageStrings":{"m":{"text":"{1} of {0} {{x}} {9}"}}},
	{"id":"odd","properties":{"security-severity":"high"},"helpUri":"data:text/html,x","fullDescription":{"text":"Full"}},
	{"id":"php","properties":[]}]},
	"extensions":[{"name":"ext","guid":"g-ext","rules":[{"id":"plug","guid":"g-plug","name":"Plugged",
	"defaultConfiguration":{"level":"note"},"helpUri":"https://example.com/x"}]}]}`

func result(members string) string {
	return reportstest.SARIF(rules + `,"results":[{` + members + `}]`)
}
