package gitleaks

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/scanhook/scanhook/core"
)

const (
	maxUnpacked = 10 << 20 // bytes of an archive and all archives in it
	maxMembers  = 10_000
)

var (
	errUnpackedEnough = errors.New("the archive holds more than is searched")
	errUnknownArchive = errors.New("the archive is of a kind that is not opened")
)

// archive searches the members of an archive. What it cannot open or does not reach is coverage.
func (s *contentSearch) archive(ctx context.Context, at place, data []byte, level int) error {
	if !s.rules.unpacks || level >= maxLevels {
		s.leaveOut(core.LeftArchive, at)
		return nil
	}
	var searching error // ends the search as a whole
	err := eachMember(data, func(name string, content io.Reader) error {
		searching = s.member(ctx, at, name, content, level)
		return searching
	})
	if searching != nil && !errors.Is(searching, errUnpackedEnough) {
		return searching
	}
	if err != nil {
		s.leaveOut(core.LeftArchive, at)
	}
	return nil
}

func (s *contentSearch) member(ctx context.Context, outer place, name string, content io.Reader, level int) error {
	if s.members++; s.members > maxMembers {
		return errUnpackedEnough
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	at := outer
	if name == "" { // the one file that was compressed
		at.rules = withoutCompression(outer.rules)
	} else {
		name = core.Clip(core.Printable(strings.TrimPrefix(path.Clean("/"+name), "/")), 500)
		at = place{rules: name, inside: outer.inside + "!" + name, name: outer.name + "!" + name}
	}
	if s.rules.Allowed(at.rules) {
		s.leaveOut(core.LeftAllowed, at)
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(content, s.left+1))
	if s.left -= int64(len(data)); s.left < 0 {
		return errUnpackedEnough
	}
	if err != nil {
		s.leaveOut(core.LeftArchive, at)
		return nil
	}
	if name == "" && raw(data).isTar() { // compressed as a whole: one level
		return s.archive(ctx, outer, data, level)
	}
	return s.file(ctx, at, data, level+1)
}

// eachMember calls each for the files of an archive. A compressed file has one member without a name.
func eachMember(data []byte, each func(name string, content io.Reader) error) error {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return eachInZip(data, each)
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		unpacked, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return err
		}
		return each("", unpacked)
	case bytes.HasPrefix(data, []byte("BZh")):
		return each("", bzip2.NewReader(bytes.NewReader(data)))
	case raw(data).isTar():
		return eachInTar(data, each)
	case raw(data).hasZip():
		return eachInZip(data, each)
	}
	return errUnknownArchive
}

func eachInZip(data []byte, each func(string, io.Reader) error) error {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	for _, file := range archive.File {
		if file.Mode().IsDir() {
			continue
		}
		content, err := file.Open()
		if err != nil {
			content = io.NopCloser(failing{err})
		}
		err = each(file.Name, content)
		_ = content.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// failing is a member that cannot be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func eachInTar(data []byte, each func(string, io.Reader) error) error {
	archive := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case header.Typeflag != tar.TypeReg:
			continue
		}
		if err := each(header.Name, archive); err != nil {
			return err
		}
	}
}
