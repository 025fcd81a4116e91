package blobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// LayOut writes files of the mirror below a directory, plain ones whatever they are in the commit, for those who show the code
// around findings. A file whose path the system does not take is left out.
func LayOut(ctx context.Context, m *mirror.Mirror, files []mirror.File, dir string) error {
	if len(files) == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("laying out files: %w", err)
	}
	defer func() { _ = root.Close() }()
	var ids []string
	for _, file := range files {
		ids = append(ids, file.Blob)
	}
	if err := m.Ensure(ctx, ids); err != nil {
		return err
	}
	for _, file := range files {
		data, _, err := m.Blob(ctx, file.Blob, gitleaks.MaxBlob)
		if errors.Is(err, mirror.ErrMissing) { // it was there a moment ago
			return mirror.Damaged{Err: err}
		}
		if err != nil {
			return err
		}
		if err := write(root, file.Path, data); err != nil {
			return fmt.Errorf("laying out files: %w", err)
		}
	}
	return nil
}

// write writes a file unless the system does not take its path. It fails for faults of the host only.
func write(root *os.Root, path string, data []byte) error {
	name := filepath.FromSlash(path)
	err := root.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = root.WriteFile(name, data, 0o600)
	}
	return sandbox.Place{Dir: filepath.Dir(root.Name())}.FaultOf(err)
}
