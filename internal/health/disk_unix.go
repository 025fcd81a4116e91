//go:build unix

package health

import "golang.org/x/sys/unix"

// SpaceOf asks the file system of a directory.
func SpaceOf(dir string) (Space, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Space{}, err
	}
	return Space{
		Free: uint64(fs.Bavail) * uint64(fs.Bsize), Total: fs.Blocks * uint64(fs.Bsize),
		FreeFiles: uint64(fs.Ffree), TotalFiles: fs.Files,
	}, nil
}
