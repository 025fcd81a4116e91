package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

const (
	maxHunks    = 200_000 // of a diff; commits that are farther apart are compared by their code alone
	maxDiffLine = 4 << 10 // bytes of a line that are read
)

// Compare compares two commits that are in the repository, with the contents of all files in which they differ. White space does
// not count, and renamed files are followed.
func (r Repo) Compare(ctx context.Context, base, head string) (*core.Changes, error) {
	out, in := io.Pipe()
	ran := make(chan error, 1)
	go func() {
		err := r.Run(ctx, nil, in, "diff", "--unified=0", "--diff-algorithm=histogram", "--ignore-all-space", "--find-renames", "--no-ext-diff", "--no-textconv",
			"--no-color", "--src-prefix=a/", "--dst-prefix=b/", base, head, "--")
		_ = in.Close()
		ran <- err
	}()
	changed, err := parseDiff(out)
	_ = out.CloseWithError(err) // git ends
	if said := <-ran; said != nil && (err == nil || ctx.Err() != nil) {
		return nil, fmt.Errorf("comparing with %s: %w", core.ShortSHA(base), said)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what git says of %s: %w", core.ShortSHA(base), err)
	}
	return &core.Changes{Base: base, Files: changed}, nil
}

// diffParser reads the output of git diff without lines of context.
type diffParser struct {
	lines *bufio.Reader
	files []core.FileChange
	hunks int

	seed maphash.Seed
	left uint64 // the sum of the digests of the lines that the last file got, less that of those that it lost
}

// parseDiff returns the files of a diff in its order.
func parseDiff(r io.Reader) ([]core.FileChange, error) {
	p := &diffParser{lines: bufio.NewReaderSize(r, maxDiffLine), seed: maphash.MakeSeed()}
	for {
		line, err := p.line()
		if err == nil {
			err = p.header(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return p.files, p.named()
		case err != nil:
			return nil, err
		}
	}
}

// line returns the next line, at most maxDiffLine bytes of it, and io.EOF only when there is none.
func (p *diffParser) line() (string, error) {
	begin, err := p.lines.ReadSlice('\n')
	line := strings.TrimSuffix(string(begin), "\n")
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = p.lines.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return line, err
}

func (p *diffParser) header(line string) (err error) {
	if rest, begins := strings.CutPrefix(line, "diff --git "); begins {
		return p.open(rest)
	}
	if len(p.files) == 0 {
		return fmt.Errorf("%.80q stands before the first file", line)
	}
	file := &p.files[len(p.files)-1]
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case word == "@@":
		return p.hunk(file, rest)
	case word == "new" && strings.HasPrefix(rest, "file mode "):
		file.Old = ""
	case word == "deleted" && strings.HasPrefix(rest, "file mode "):
		file.New = ""
	case word == "rename" && strings.HasPrefix(rest, "from "):
		file.Old, err = unquote(rest[len("from "):])
	case word == "rename" && strings.HasPrefix(rest, "to "):
		file.New, err = unquote(rest[len("to "):])
	case word == "Binary":
		file.Opaque = true
	}
	return err
}

// open begins a file. Either its two names are equal, so that each is one half of the line, or lines about the rename
// follow.
func (p *diffParser) open(names string) error {
	if err := p.named(); err != nil {
		return err
	}
	name, _ := unquote(names[:len(names)/2])
	name = strings.TrimPrefix(name, "a/")
	p.files, p.left = append(p.files, core.FileChange{Old: name, New: name, Reordered: true}), 0
	return nil
}

// named ends the previous file and makes sure that it has a name: a changed file must not count as unchanged.
func (p *diffParser) named() error {
	if len(p.files) == 0 {
		return nil
	}
	last := &p.files[len(p.files)-1]
	last.Reordered = last.Reordered && p.left == 0 && len(last.Hunks) > 0 && !last.Opaque
	if last.Old == "" && last.New == "" {
		return errors.New("a file has no name that can be read")
	}
	return nil
}

// unquote reads a path as git writes it: as it is, or as a text of C where it holds unusual characters.
func unquote(path string) (string, error) {
	if !strings.HasPrefix(path, `"`) {
		return path, nil
	}
	plain, err := strconv.Unquote(path)
	if err != nil {
		return "", fmt.Errorf("%.80q is not a path: %w", path, err)
	}
	return core.Printable(plain), nil
}

// hunk reads "-12,3 +12,4 @@…" and the lines that follow.
func (p *diffParser) hunk(file *core.FileChange, ranges string) error {
	var h core.Hunk
	fields := strings.Fields(ranges)
	if len(fields) < 2 || !readRange(fields[0], "-", &h.OldLine, &h.OldCount) ||
		!readRange(fields[1], "+", &h.NewLine, &h.NewCount) {
		return fmt.Errorf("%.80q is not the head of a hunk", ranges)
	}
	if p.hunks++; p.hunks > maxHunks {
		return fmt.Errorf("there are more than %d changes", maxHunks)
	}
	file.Hunks = append(file.Hunks, h)
	for left := h.OldCount + h.NewCount; left > 0; left-- {
		line, err := p.line()
		if err != nil {
			return err
		}
		if strings.HasPrefix(line, `\`) {
			left++ // git's remark about a missing line break
			continue
		}
		p.weigh(file, line)
	}
	return nil
}

// weigh adds the digest of a line that was added, and takes away that of one that was removed. White space does not count. Of a long
// line not all is known.
func (p *diffParser) weigh(file *core.FileChange, line string) {
	if len(line) < 1 || len(line) >= maxDiffLine {
		file.Reordered = false
		return
	}
	digest := maphash.String(p.seed, strings.Join(strings.Fields(line[1:]), ""))
	if line[0] == '-' {
		digest = -digest
	}
	p.left += digest
}

func readRange(text, sign string, line, count *int) bool {
	text, signed := strings.CutPrefix(text, sign)
	first, number, counted := strings.Cut(text, ",")
	var err, errCount error
	*line, err = strconv.Atoi(first)
	*count = 1
	if counted {
		*count, errCount = strconv.Atoi(number)
	}
	return signed && err == nil && errCount == nil && *line >= 0 && *count >= 0
}
