package health

import (
	"fmt"
	"maps"
	"slices"
)

// Space is what is left where a directory lies.
type Space struct {
	Free, Total           uint64 // bytes; Free is what may be written without being root
	FreeFiles, TotalFiles uint64 // inodes; both 0 where the file system has no fixed number
}

// disk is the space where a directory lies.
type disk struct {
	Space
	use string // what the directory is for
	err error
}

// spaceOf asks for the space of directories by what they are for.
func spaceOf(directories map[string]string) (disks []disk) {
	for _, use := range slices.Sorted(maps.Keys(directories)) {
		d := disk{use: use}
		d.Space, d.err = SpaceOf(directories[use])
		disks = append(disks, d)
	}
	return disks
}

// IsLow tells whether little is left: less than one byte, or one file, in twenty.
func (s Space) IsLow() bool {
	return s.Free < s.Total/fewOfDisk || s.FreeFiles < s.TotalFiles/fewOfDisk
}

// files says how many files there is room for, where that is little.
func (s Space) files() string {
	if s.FreeFiles >= s.TotalFiles/fewOfDisk {
		return ""
	}
	return fmt.Sprintf(", and room for %d of %d files", s.FreeFiles, s.TotalFiles)
}
