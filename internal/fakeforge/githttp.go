package fakeforge

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"

	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// maxWants bounds what a client may send to negotiate a fetch, in bytes, before and after gzip.
const maxWants = 16 << 20

// serveGit speaks git's smart HTTP protocol, for reading only, at {base}/{project}.git; everything else is pages.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	project, service, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	repo, known := s.Repository(project)
	switch {
	case !ok || !known:
		s.servePage(w, r)
	case !s.mayFetch(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "this repository needs a token as the password", http.StatusUnauthorized)
	case service == "info/refs" && r.Method == http.MethodGet && r.FormValue("service") == "git-upload-pack":
		s.advertise(w, r, repo)
	case service == "git-upload-pack" && r.Method == http.MethodPost:
		s.uploadPack(w, r, repo)
	default:
		http.Error(w, "this platform can only be fetched from", http.StatusForbidden)
	}
}

// mayFetch tells whether a git request carries the token as the password of any user.
func (s *Server) mayFetch(r *http.Request) bool {
	if s.cfg.Token == "" {
		return true
	}
	_, password, ok := r.BasicAuth()
	return ok && s.isToken(password)
}

// advertise answers the first request of a fetch. Protocol version 2 has no announcement of the service.
func (s *Server) advertise(w http.ResponseWriter, r *http.Request, repo Repository) {
	setGitHeader(w, "application/x-git-upload-pack-advertisement")
	if !strings.Contains(r.Header.Get("Git-Protocol"), "version=2") {
		_, _ = io.WriteString(w, packetLine("# service=git-upload-pack\n")+"0000")
	}
	s.stream(w, r, uploadPackCommand(r, "--http-backend-info-refs", repo.Dir))
}

func (s *Server) uploadPack(w http.ResponseWriter, r *http.Request, repo Repository) {
	body, err := wants(http.MaxBytesReader(w, r.Body, maxWants), r.Header.Get("Content-Encoding"))
	if err != nil {
		http.Error(w, "the request is not gzip", http.StatusBadRequest)
		return
	}
	setGitHeader(w, "application/x-git-upload-pack-result")
	cmd := uploadPackCommand(r, repo.Dir)
	cmd.Stdin = body
	s.stream(w, r, cmd)
}

func wants(body io.Reader, encoding string) (io.Reader, error) {
	if encoding != "gzip" {
		return body, nil
	}
	plain, err := gzip.NewReader(body)
	if err != nil {
		return nil, err
	}
	return io.LimitReader(plain, maxWants), nil
}

// uploadPackCommand lets every commit be fetched by its id, as the real platforms do.
func uploadPackCommand(r *http.Request, args ...string) *exec.Cmd {
	fixed := []string{"-c", "uploadpack.allowAnySHA1InWant=true", "upload-pack", "--stateless-rpc"}
	cmd := gitrepo.Command(r.Context(), append(fixed, args...)...)
	cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+r.Header.Get("Git-Protocol"))
	return cmd
}

func (s *Server) stream(w io.Writer, r *http.Request, cmd *exec.Cmd) {
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := cmd.Run(); err != nil {
		s.cfg.Log.WarnContext(r.Context(), "git fetch failed", slog.String(keyPath, r.URL.Path),
			slog.Any(keyError, err), slog.String(keyStderr, stderr.String()))
	}
}

func setGitHeader(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache")
}

// packetLine frames text as git's protocol does: four hexadecimal digits of length, their own four included.
func packetLine(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
