package health

import (
	"maps"
	"slices"
	"syscall"
)

// disk is the space where a directory lies.
type disk struct {
	use         string // what the directory is for
	free, total uint64 // bytes; free is what may be written without being root
	err         error
}

// spaceOf asks for the space of directories by what they are for.
func spaceOf(directories map[string]string) (disks []disk) {
	for _, use := range slices.Sorted(maps.Keys(directories)) {
		var fs syscall.Statfs_t
		d := disk{use: use, err: syscall.Statfs(directories[use], &fs)}
		if d.err == nil {
			d.free, d.total = uint64(fs.Bavail)*uint64(fs.Bsize), fs.Blocks*uint64(fs.Bsize)
		}
		disks = append(disks, d)
	}
	return disks
}
