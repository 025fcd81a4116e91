package health

import "fmt"

// fewOfDisk: less than one byte or file in so many is little free space.
const fewOfDisk = 20

// Space is the free space of the file system that a directory is in.
type Space struct {
	Free, Total           uint64 // bytes; Free is what may be written without being root
	FreeFiles, TotalFiles uint64 // inodes; both 0 where the file system has no fixed number
}

// IsLow tells whether little space is left, or room for few files.
func (s Space) IsLow() bool {
	return s.Free < s.Total/fewOfDisk || s.FreeFiles < s.TotalFiles/fewOfDisk
}

// fewFiles says how many more files fit, if they are few.
func (s Space) fewFiles() string {
	if s.FreeFiles >= s.TotalFiles/fewOfDisk {
		return ""
	}
	return fmt.Sprintf(", and room for %d of %d files", s.FreeFiles, s.TotalFiles)
}
