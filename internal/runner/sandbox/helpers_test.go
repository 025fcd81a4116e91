package sandbox_test

import "path/filepath"

func glob(dir, name string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, name))
	return found
}
