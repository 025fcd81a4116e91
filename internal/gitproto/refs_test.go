package gitproto

import (
	"bufio"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

func FuzzRefs(f *testing.F) {
	f.Add(advertisement([]core.Ref{branch("main", 1)}), false)
	f.Add(packet(storetest.SHA(1)+" HEAD symref-target:refs/heads/a peeled:"+storetest.SHA(2))+"0000", true)
	f.Add("0003", true)
	f.Fuzz(func(t *testing.T, body string, listed bool) {
		var refs Refs
		add := refs.addAdvertised
		if listed {
			add = refs.addListed
		}
		_ = packets{bufio.NewReader(strings.NewReader(body))}.section(add)
		for _, h := range refs.Heads {
			if !core.IsCommitSHA(h.SHA) || h.Short() == "" || !storable(h.Name) {
				t.Errorf("head %+v", h)
			}
		}
	})
}
