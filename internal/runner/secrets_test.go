package runner

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/store/storetest"
)

// groundPair are two tokens whose masks were the same while masks had no key, as somebody finds them who sees masks.
func groundPair() (dummy, actual string) {
	const signs = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	random, known := rand.New(rand.NewPCG(7, 8)), map[string]string{}
	for {
		text := []byte("ghp_")
		for range 36 {
			text = append(text, signs[random.IntN(len(signs))])
		}
		token := string(text)
		if other := known[secrets.Keyless.Mask(token)]; other != "" {
			return other, token
		}
		known[secrets.Keyless.Mask(token)] = token
	}
}

// A dummy that looks like a secret where it is masked stands for no secret: not in its line, not in another one, not in history.
func TestDummyStandsForNoSecret(t *testing.T) {
	t.Parallel()
	dummy, actual := groundPair()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		base := p.commit(gittest.Files{"clean": "x\n"})
		p.wants(p.push("main", noCommit, base), core.Pass)
		with := p.commit(gittest.Files{"leak": secret(dummy)})
		p.wants(p.push("main", base, with), core.Fail, "leak:1")
		known := p.commit(gittest.Files{"other": "y\n"})
		p.wants(p.push("main", with, known), core.Pass, "leak:1")
		replaced := p.commit(gittest.Files{"leak": secret(actual)})
		p.wants(p.push("main", known, replaced), core.Fail, "leak:1", "leak:1 in "+known)

		bad := p.commit(gittest.Files{"leak": secret(dummy), "once": secret(githubToken)})
		p.wants(p.push("main", replaced, bad), core.Fail, "leak:1", "once:1", "leak:1 in "+replaced)
	})
}

// A dummy in the tree does not hide a secret in the commits before it.
func TestDummyHidesNoHistory(t *testing.T) {
	t.Parallel()
	dummy, actual := groundPair()
	p := newPushes(t, storetest.SQLite)
	base := p.commit(gittest.Files{"leak": secret(dummy)})
	p.wants(p.push("main", noCommit, base), core.Fail, "leak:1")
	bad := p.commit(gittest.Files{"secret": secret(actual)})
	head := p.commit(gittest.Files{"secret": ""})
	p.wants(p.push("main", base, head), core.Fail, "leak:1", "secret:1 in "+bad)
}

// A secret whose line is edited, or that moves, is one finding that was known.
func TestSecretInAnEditedLineIsKnown(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		before := p.commit(gittest.Files{"leak": secret(githubToken)})
		p.wants(p.push("main", noCommit, before), core.Fail, "leak:1")
		for _, content := range []gittest.Files{
			{"leak": "# edited\nmy_" + secret(githubToken)}, {"leak": "", "moved": "x\nexport " + secret(githubToken)},
		} {
			sha := p.commit(content)
			place := "leak:2"
			if content["moved"] != "" {
				place = "moved:2"
			}
			job := p.wants(p.push("main", before, sha), core.Pass, place)
			if job.NumUnchanged != 1 || job.NumAbsent != 0 {
				t.Errorf("want one known finding at %s, got %+v", place, job)
			}
			before = sha
		}
	})
}

// What a command says of a secret is as little as it likes: the lines tell secrets apart.
func TestCommandsTellSecretsApart(t *testing.T) {
	t.Parallel()
	dummy, actual := groundPair()
	for name, scanner := range map[string]Scanner{
		"with no code": {Command: sh(`echo '{"findings":[{"rule_id":"hardcoded-token","severity":"high","message":"a token","file":"a","line":1}]}'`)},
		"masked": {Command: sh(`echo '{"findings":[{"rule_id":"hardcoded-token","severity":"high","message":"a token","file":"a","line":1,
			"snippet":"token = REDACTED"}]}'`)},
		"with its code": {Command: sh(`printf '{"findings":[{"rule_id":"hardcoded-token","severity":"high","message":"a token","file":"a","line":1,
			"snippet":"%s"}]}' "$(head -n 1 a)"`)},
	} {
		p := pushes{newBench(t, scanner), t}
		before := noCommit
		for n, step := range []struct {
			text string
			want core.Verdict
		}{
			{dummy, core.Fail}, {dummy + " # edited", core.Fail}, {"  " + dummy + "   # edited", core.Pass}, {actual + "# edited", core.Fail},
			{actual + "# edited\nmore", core.Pass},
		} {
			sha := p.commit(gittest.Files{"a": step.text + "\n"})
			scan, _, found := p.get(t, p.push("main", before, sha))
			if *scan.Verdict != step.want || len(found) != 1 || found[0].SecretHash == "" || strings.Contains(found[0].Snippet+found[0].Code, "ghp_") {
				t.Errorf("%s, commit %d: want %s, got %s %s, %+v", name, n, step.want, *scan.Verdict, scan.Summary, found)
			}
			before = sha
		}
	}
}
