package standin

import (
	"net/http"
	"strings"
)

// compareGitHub answers GET /repos/{owner}/{name}/compare/{base}...{head} with the merge base and without files.
func (s *Server) compareGitHub(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	base, head, ranged := strings.Cut(r.PathValue("range"), "...")
	if !ok || !ranged {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	common, err := repo.mergeBase(r.Context(), base, head)
	switch {
	case err != nil:
		return s.crashed(r, err)
	case common == "":
		return refuseGitHub(http.StatusNotFound, "No common ancestor between "+base+" and "+head+".")
	}
	return answer{status: http.StatusOK, body: map[string]any{
		"merge_base_commit": map[string]any{"sha": common}, "commits": []any{}, "files": []any{},
	}}
}

// mergeBaseGitLab answers GET /projects/:id/repository/merge_base.
func (s *Server) mergeBaseGitLab(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	refs := r.URL.Query()["refs[]"]
	if !ok || len(refs) != 2 {
		return refuse(http.StatusNotFound, "404 Not Found")
	}
	common, err := repo.mergeBase(r.Context(), refs[0], refs[1])
	switch {
	case err != nil:
		return s.crashed(r, err)
	case common == "":
		return answer{status: http.StatusOK, text: "null"}
	}
	return answer{status: http.StatusOK, body: map[string]any{"id": common}}
}
