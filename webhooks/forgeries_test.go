package webhooks_test

import (
	"net/url"
	"strings"
)

// forgery is a call that Mallory signs.
type forgery struct {
	event, body string
	header      map[string]string // instead of the usual one
}

// pushed and removed are bodies of pushes that name their project in the given way.
func pushed(project string) string {
	return `{"ref":"refs/heads/main","after":"` + head + `","before":"` + zeros + `","checkout_sha":"` + head + `",` +
		project + `}`
}

func removed(project string) string {
	return `{"ref":"refs/heads/main","before":"` + head + `","after":"` + zeros + `",` + project + `}`
}

const (
	victim  = `"repository":{"full_name":"acme/shop"}`
	victims = `"project":{"path_with_namespace":"acme/shop"}`
	mine    = `"repository":{"full_name":"mallory/x"}`
	mines   = `"project":{"path_with_namespace":"mallory/x"}`
)

// githubForgeries name acme/shop in one way or another.
var githubForgeries = map[string]forgery{
	"push":                 {"push", pushed(victim), nil},
	"deletion":             {"push", removed(victim), nil},
	"second repository":    {"push", pushed(mine + "," + victim), nil},
	"another key's case":   {"push", pushed(mine + `,"RePository":{"full_name":"acme/shop"}`), nil},
	"second name":          {"push", pushed(`"repository":{"full_name":"mallory/x","Full_Name":"acme/shop"}`), nil},
	"another spelling":     {"push", pushed(`"repository":{"full_name":"Acme/SHOP"}`), nil},
	"with .git":            {"push", pushed(`"repository":{"full_name":"acme/shop.git"}`), nil},
	"by way of its own":    {"push", pushed(`"repository":{"full_name":"mallory/x/../../acme/shop"}`), nil},
	"hidden character":     {"push", pushed(`"repository":{"full_name":"acme/s\u0000hop"}`), nil},
	"workflow run":         {"workflow_run", githubRun("mallory/x", "acme/shop"), nil},
	"run of its own fork":  {"workflow_run", githubRun("acme/shop", "acme/shop"), nil},
	"ping":                 {"ping", `{"zen":"x",` + victim + `}`, nil},
	"unused event":         {"star", `{` + victim + `}`, nil},
	"status":               {"status", `{"id":9,"sha":"` + head + `","context":"scanhook",` + victim + `}`, nil},
	"form":                 {"push", formOf(pushed(victim)), asForm},
	"form, first of two":   {"push", formOf(pushed(victim)) + "&" + formOf(pushed(mine)), asForm},
	"form that looks JSON": {"push", `{"payload":"x"}&` + formOf(pushed(victim)), asForm},
}

var asForm = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}

func formOf(payload string) string { return "payload=" + url.QueryEscape(payload) }

func githubRun(headRepository, repository string) string {
	return `{"action":"completed","workflow_run":{"id":9,"run_attempt":1,"status":"completed","conclusion":"success",` +
		`"head_branch":"main","head_sha":"` + head + `","head_repository":{"id":42,"full_name":"` + headRepository + `"}},` +
		`"repository":{"id":42,"full_name":"` + repository + `"}}`
}

var gitlabForgeries = map[string]forgery{
	"push":             {"Push Hook", pushed(`"object_kind":"push",` + victims), nil},
	"tag":              {"Tag Push Hook", strings.Replace(pushed(victims), "refs/heads", "refs/tags", 1), nil},
	"deletion":         {"Push Hook", removed(victims), nil},
	"pipeline":         {"Pipeline Hook", gitlabRun("push", victims), nil},
	"external":         {"Pipeline Hook", gitlabRun("external", victims), nil},
	"system push":      {"System Hook", pushed(`"event_name":"push",` + victims), nil},
	"system pipeline":  {"System Hook", gitlabRun("push", victims), nil},
	"rename":           {"System Hook", `{"event_name":"project_rename","path_with_namespace":"acme/shop"}`, nil},
	"old path":         {"System Hook", pushed(`"event_name":"push","path_with_namespace":"acme/shop"`), nil},
	"merge request":    {"Merge Request Hook", `{"object_kind":"merge_request",` + victims + `}`, nil},
	"page only":        {"Push Hook", pushed(`"project":{"web_url":"https://gitlab.com/acme/shop"}`), nil},
	"homepage only":    {"Push Hook", pushed(`"repository":{"homepage":"https://gitlab.com/acme/shop"}`), nil},
	"number for path":  {"Push Hook", pushed(`"project":{"path_with_namespace":"42"}`), nil},
	"second project":   {"Push Hook", pushed(mines + "," + victims), nil},
	"second path":      {"Push Hook", pushed(strings.Replace(mines, "}", `,"PATH_with_namespace":"acme/x"}`, 1)), nil},
	"emptied path":     {"Push Hook", pushed(`"project":{"path_with_namespace":""},"path_with_namespace":"acme/shop"`), nil},
	"another spelling": {"Push Hook", pushed(`"project":{"path_with_namespace":"ACME/shop.git"}`), nil},
	"unknown event":    {"Emoji Hook", `{` + victims + `}`, nil},
}

func gitlabRun(source, projects string) string {
	return `{"object_kind":"pipeline","object_attributes":{"id":9,"ref":"main","sha":"` + head + `","source":"` + source +
		`","status":"success"},` + projects + `}`
}

// within are calls about Mallory's own projects that mention those of others besides.
var within = map[string]struct {
	platform string
	forgery
}{
	"other's fork":   {"github", forgery{"workflow_run", githubRun("acme/shop", "mallory/x"), nil}},
	"other's number": {"gitlab", forgery{"Push Hook", pushed(`"project_id":42,` + mines + `,"project":{"id":42}`), nil}},
	"merged projects": {"gitlab", forgery{"Push Hook", pushed(`"project":{"id":42,"path_with_namespace":"acme/shop"},` +
		`"project":{"path_with_namespace":"mallory/y"}`), nil}},
	"outer path": {"gitlab", forgery{"System Hook", pushed(`"event_name":"push","project_id":42,` +
		`"path_with_namespace":"acme/shop","project":{"path_with_namespace":"mallory/z"}`), nil}},
	"other's pipeline": {"gitlab", forgery{"Pipeline Hook", gitlabRun("push",
		`"project":{"path_with_namespace":"mallory/p","id":42},`+
			`"merge_request":{"source_project_id":42,"target_project_id":42},`+
			`"source_pipeline":{"pipeline_id":7,"project":{"id":42,"path_with_namespace":"acme/shop"}}`), nil}},
}
