package gitlab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// maxText is the longest ref, target_url and description, in characters.
const maxText = 255

// statusPost is the body of POST /projects/:id/statuses/:sha.
type statusPost struct {
	State       string      `json:"state"`
	Ref         string      `json:"ref"`
	Name        string      `json:"name"`
	Context     string      `json:"context"`
	TargetURL   string      `json:"target_url"`
	Description string      `json:"description"`
	PipelineID  json.Number `json:"pipeline_id"`
}

// serialised holds GitLab's lock on a commit for as long as its call takes. The real one waits some ten seconds for the
// lock; this one answers 409 at once, so that a client that posts in parallel is always noticed.
func (f *forge) serialised(rules fakeforge.Endpoint) fakeforge.Endpoint {
	return func(r *http.Request) fakeforge.Answer {
		repo, _ := f.RepositoryOf(r)
		key := strings.ToLower(repo.Project + " " + r.PathValue("sha"))
		if !f.ci.lock(key) {
			return fakeforge.Refuse(http.StatusConflict, "Another update to this commit status is in progress")
		}
		defer f.ci.unlock(key)
		return rules(r)
	}
}

func (f *forge) postStatus(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	post, problem := f.readStatus(r)
	if problem != nil {
		return *problem
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := f.Knows(r.Context(), repo, sha)
	switch {
	case err != nil:
		return f.Crashed(r, err)
	case !known:
		return fakeforge.Refuse(http.StatusNotFound, "404 Commit Not Found")
	}
	ref, err := f.refFor(r.Context(), repo, sha, post)
	switch {
	case err != nil:
		return f.Crashed(r, err)
	case ref == "":
		return fakeforge.Refuse(http.StatusNotFound, "404 References for commit Not Found")
	}
	return f.acceptStatus(repo, sha, ref, post, fakeforge.Bot.Login)
}

// overwrite posts a status as another account.
func (f *forge) overwrite(repo fakeforge.Repository, status fakeforge.Status) fakeforge.Answer {
	return f.acceptStatus(repo, status.SHA, status.Ref, statusPost{
		State: status.State, Name: status.Context, Description: status.Description, TargetURL: status.TargetURL,
		Ref: status.Ref,
	}, status.Creator)
}

func (f *forge) readStatus(r *http.Request) (post statusPost, problem *fakeforge.Answer) {
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return post, refuseCall("error", "The provided content is not valid JSON")
	}
	post.Name = cmp.Or(post.Name, post.Context, "default")
	states := []string{"pending", "running", "success", "failed", "canceled", "skipped"}
	switch {
	case post.State == "":
		return post, refuseCall("error", "state is missing")
	case !slices.Contains(states, post.State):
		return post, refuseCall("error", "state does not have a valid value")
	case !f.TakesLink(post.TargetURL):
		return post, refuseField("target_url", "is blocked: Only allowed schemes are http, https")
	}
	for field, text := range map[string]string{
		"ref": post.Ref, "target_url": post.TargetURL, "description": post.Description,
	} {
		if utf8.RuneCountInString(text) > maxText {
			return post, refuseField(field, fmt.Sprintf("is too long (maximum is %d characters)", maxText))
		}
	}
	return post, nil
}

// refFor is the ref that a status belongs to: the one it names, else that of its pipeline or of the commit's newest one,
// else the first branch that has the commit; empty when there is none.
func (f *forge) refFor(ctx context.Context, repo fakeforge.Repository, sha string, post statusPost) (string, error) {
	if post.Ref != "" {
		return post.Ref, nil
	}
	if ref := f.ci.refOf(repo.ID, sha, string(post.PipelineID)); ref != "" {
		return ref, nil
	}
	return repo.BranchWith(ctx, sha)
}

// acceptStatus puts the status into its pipeline, under the rules of the jobs there.
func (f *forge) acceptStatus(repo fakeforge.Repository, sha, ref string, post statusPost, creator string) fakeforge.Answer {
	f.ci.mu.Lock()
	defer f.ci.mu.Unlock()
	line := f.ci.find(repo.ID, sha, post.Ref, string(post.PipelineID))
	if line == nil && post.PipelineID != "" {
		return fakeforge.Refuse(http.StatusNotFound, "404 Pipeline for pipeline_id, sha and ref Not Found")
	}
	if line == nil {
		line = f.ci.add(pipeline{id: f.NextID(), project: repo.ID, sha: sha, ref: ref, source: "external", at: f.Now()})
	}
	if line.hasOwn(post.Name) {
		return *refuseField("name", "has already been taken")
	}
	job := line.open(post.Name, ref)
	if event := job.refuses(post.State); event != "" {
		return *refuseCall("message", fmt.Sprintf(
			"Cannot transition status via :%[1]s from :%[2]s (Reason(s): Status cannot transition via %[1]q)", event, job.state))
	}
	if job == nil {
		job = line.start(f.NextID(), post.Name, ref)
	}
	job.state = post.State
	f.Accept(fakeforge.Status{
		Project: repo.Project, SHA: sha, Ref: ref, Context: post.Name, State: post.State,
		Description: post.Description, TargetURL: post.TargetURL, PipelineID: line.id, At: f.Now().UTC(),
		ID: job.id, Creator: creator,
	})
	return fakeforge.Answer{Status: http.StatusCreated, Body: f.commitStatus(line, job, post)}
}

// commitStatus is GitLab's CommitStatus entity; the caller holds the pipelines' lock.
func (f *forge) commitStatus(line *pipeline, j *job, post statusPost) map[string]any {
	now := f.Now().UTC()
	started, finished := &now, &now
	switch post.State {
	case "pending":
		started, finished = nil, nil
	case "running":
		finished = nil
	}
	return map[string]any{
		"id": j.id, "sha": line.sha, "ref": j.ref, "status": j.state, "name": j.name,
		"target_url": fakeforge.Nullable(post.TargetURL), "description": fakeforge.Nullable(post.Description),
		"created_at": now, "started_at": started, "finished_at": finished,
		"allow_failure": false, "coverage": nil, "pipeline_id": line.id, "author": f.user(),
	}
}

// refuseCall is GitLab's 400 with a sentence, under "message" where a rule of the model is broken and under "error"
// where a parameter is wrong.
func refuseCall(key, problem string) *fakeforge.Answer {
	return &fakeforge.Answer{Status: http.StatusBadRequest, Body: map[string]string{key: problem}, Reason: problem}
}

// refuseField is GitLab's 400 for a field of the status.
func refuseField(field, problem string) *fakeforge.Answer {
	body := map[string]any{"message": map[string][]string{field: {problem}}}
	return &fakeforge.Answer{Status: http.StatusBadRequest, Body: body, Reason: field + " " + problem}
}

// listStatuses lists each job once, with what was posted to it last.
func (f *forge) listStatuses(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	list, listed, query := []any{}, map[int64]bool{}, r.URL.Query()
	for _, status := range slices.Backward(f.Statuses(repo.Project, strings.ToLower(r.PathValue("sha")))) {
		name, ref := query.Get("name"), query.Get("ref")
		if listed[status.ID] || name != "" && name != status.Context || ref != "" && ref != status.Ref {
			continue
		}
		listed[status.ID] = true
		author := f.user()
		author["username"] = status.Creator
		list = append(list, map[string]any{
			"id": status.ID, "sha": status.SHA, "ref": status.Ref, "status": status.State, "name": status.Context,
			"target_url": fakeforge.Nullable(status.TargetURL), "description": fakeforge.Nullable(status.Description),
			"created_at": status.At, "allow_failure": false, "coverage": nil, "pipeline_id": status.PipelineID,
			"author": author,
		})
	}
	return fakeforge.OK(list)
}
