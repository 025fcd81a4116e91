package gitlab

import (
	"cmp"

	"github.com/scanhook/scanhook/platforms"
)

// events are the kinds of events that are used, and how headers announce them.
var events = map[string]string{
	kindPush: "Push Hook", kindTagPush: "Tag Push Hook", kindRequest: "Merge Request Hook", kindPipeline: "Pipeline Hook",
}

// Kind describes gitlab.com and self-managed GitLab.
func Kind() platforms.Kind {
	return platforms.Kind{
		Name: "gitlab", Title: "GitLab", URL: defaultURL,
		Events:        events,
		Sign:          sign,
		SigningPrefix: keyPrefix,
		Links:         links,
		CI:            ciCommit,
		Jobs:          Jobs(),
		Token: platforms.TokenAdvice{
			Variable: "GITLAB_TOKEN",
			Needs:    "the scope api and the role Developer, of a project, group or person",
			ForHooks: "the role Maintainer, and for --groups Owner",
		},
		Hook: platforms.HookAdvice{
			Note: `with the secret below as "Secret token"`,
			Form: `Settings > Webhooks > Add new webhook, of a project or a group
  URL           {url}
  Secret token  {secret}
  Trigger       Push events, Tag push events, Merge request events, Pipeline events
`,
		},
		New: func(config platforms.Config) (platforms.Platform, error) { return New(config) },
	}
}

// ciCommit reads GitLab's variables, see https://docs.gitlab.com/ci/variables/predefined_variables/. In pipelines for
// merged results CI_COMMIT_SHA is a merge that nobody pushed.
func ciCommit(getenv func(string) string) (platforms.CICommit, bool) {
	branch := getenv("CI_COMMIT_REF_NAME")
	if getenv("CI_COMMIT_TAG") != "" {
		branch = ""
	}
	return platforms.CICommit{
		Platform: "gitlab",
		Project:  getenv("CI_PROJECT_PATH"), ProjectID: getenv("CI_PROJECT_ID"),
		SHA:    cmp.Or(getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"), getenv("CI_COMMIT_SHA")),
		Branch: cmp.Or(getenv("CI_COMMIT_BRANCH"), sourceBranch(getenv), branch),
	}, getenv("CI_PROJECT_PATH") != ""
}

// sourceBranch is a merge request's branch. That of a fork must not become the baseline of a branch of ours with the same
// name: then it is the ref that GitLab gives the merge request's pipeline.
func sourceBranch(getenv func(string) string) string {
	from := getenv("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH")
	if from == "" || from == getenv("CI_PROJECT_PATH") {
		return getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
	}
	return getenv("CI_MERGE_REQUEST_REF_PATH")
}
