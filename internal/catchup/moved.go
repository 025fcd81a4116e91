package catchup

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// moved says that a project bears another name now: platforms lead from the old address to the new one.
type moved struct{ project string }

func (m *moved) Error() string { return "the project is called " + m.project + " now" }

// movedTo compares the address that answered with the one that was asked.
func movedTo(remote platforms.Remote, asked, answered *url.URL) error {
	if answered.Path == asked.Path {
		return nil
	}
	address, err := url.Parse(remote.URL)
	suffix := strings.TrimPrefix(asked.Path, address.Path)
	path, ok := strings.CutSuffix(answered.Path, suffix)
	if err != nil || !ok {
		return fmt.Errorf("%w: %s leads to another address: check the platform's url", platforms.ErrRefused, remote.URL)
	}
	return &moved{strings.TrimSuffix(path, ".git")}
}

// snapshot asks where a project's heads stand; under its new name, which is then the name of w, when it has moved.
func (c *Catchup) snapshot(ctx context.Context, w *store.Watched) (snapshot, platforms.Remote, error) {
	platform := c.Platforms[w.SourcePlatform]
	remote, err := platform.Remote(ctx, w.ProjectName)
	if err != nil {
		return snapshot{}, remote, err
	}
	taken, err := c.askers[w.SourcePlatform].ask(ctx, remote)
	elsewhere := new(moved)
	if !errors.As(err, &elsewhere) {
		return taken, remote, err
	}
	if w.ProjectName, err = c.newName(*w, remote, elsewhere.project); err != nil {
		return snapshot{}, remote, err
	}
	if remote, err = platform.Remote(ctx, w.ProjectName); err != nil {
		return snapshot{}, remote, err
	}
	taken, err = c.askers[w.SourcePlatform].ask(ctx, remote)
	return taken, remote, err
}

// newName reads the name out of the path that a platform leads to, which begins as its addresses do.
func (c *Catchup) newName(w store.Watched, remote platforms.Remote, path string) (string, error) {
	address, err := url.Parse(remote.URL)
	if err != nil {
		return "", err
	}
	base := strings.TrimSuffix(strings.TrimSuffix(address.Path, ".git"), w.ProjectName)
	name, ok := strings.CutPrefix(path, base)
	if !ok || platforms.CheckProject(name) != nil {
		return "", fmt.Errorf("%w: %s leads to another address: check the platform's url", platforms.ErrRefused, remote.URL)
	}
	if _, configured := c.Policies.For(w.SourcePlatform, name); !configured {
		return "", fmt.Errorf("%w: the project is called %s now, which matches no entry of repositories in the configuration",
			platforms.ErrRefused, platforms.Clean(name))
	}
	return name, nil
}
