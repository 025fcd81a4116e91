package standin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// mergeRequestEvent is GitLab's source of the pipelines of merge requests.
const mergeRequestEvent = "merge_request_event"

const mergeRequestRefs = "refs/merge-requests/"

// MergeRequestRef is the ref that the pipelines of a GitLab merge request run for: the head of its branch, or what
// merging would result in. Events give the source branch in its place.
func MergeRequestRef(number int64, merged bool) string {
	if merged {
		return fmt.Sprintf("%s%d/merge", mergeRequestRefs, number)
	}
	return fmt.Sprintf("%s%d/head", mergeRequestRefs, number)
}

func sourceOf(ref string) string {
	if strings.HasPrefix(ref, mergeRequestRefs) {
		return mergeRequestEvent
	}
	return "push"
}

// gitlabMergeRequest is the block of a pipeline event about its merge request, into the default branch; else nil.
func (s *Server) gitlabMergeRequest(p PipelineSpec, r Repository) any {
	if p.MergeRequest == 0 {
		return nil
	}
	return map[string]any{
		"id": p.MergeRequest, "iid": p.MergeRequest, "title": "Draft: " + p.Branch,
		"source_branch": p.Branch, "source_project_id": r.ID, "target_branch": r.DefaultBranch, "target_project_id": r.ID,
		"state": "opened", "merge_status": "can_be_merged", "detailed_merge_status": "mergeable",
		"url": s.Base() + "/" + r.Project + "/-/merge_requests/" + strconv.FormatInt(p.MergeRequest, 10),
	}
}

// listPipelines lists the pipelines of a commit from the newest on, on one page.
func (s *Server) listPipelines(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	if !ok {
		return refuse(http.StatusNotFound, "404 Project Not Found")
	}
	query, list := r.URL.Query(), []any{}
	s.ci.mu.Lock()
	defer s.ci.mu.Unlock()
	for _, line := range slices.Backward(s.ci.byCommit[pipelineKey{repo.ID, strings.ToLower(query.Get("sha"))}]) {
		if source := query.Get("source"); source == "" || source == line.source {
			list = append(list, s.gitlabPipeline(repo, line))
		}
	}
	return answer{status: http.StatusOK, body: list}
}
