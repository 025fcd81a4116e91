package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// click presses what a selector finds, as a visitor would, and counts it.
func (b *browser) click(count *int, selector string) {
	b.t.Helper()
	*count++
	b.until(`document.querySelector(` + fmt.Sprintf("%q", selector) + `)`)
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// belowTheFold names what a reader must see of a failed scan within a window of that height, and does not: who brought the commit, the
// verdict, what decided it, and the first new finding with its place, code and buttons.
const belowTheFold = `[".commit b", ".facts b", "#verdict-word", "#verdict .summary", "#verdict code", ".finding h3", ".finding .place", ".finding .code",
	".finding button[value=FP]", ".finding button[value=TP]"].map((name) => [name, document.querySelector(name)?.getBoundingClientRect()]).
	filter(([, box]) => !box || box.height < 10 || box.top < 0 || box.bottom > %d).map(([name, box]) => name + " ends at " + box?.bottom).join(", ")`

// Whoever works through alerts needs few clicks: three to dismiss one, six to clear those of a rule, two to see when one came.
func TestWorkingThroughAlertsInTheBrowser(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	details := finalOf(t, w, sample.Head).TargetURL
	b := openBrowser(t, w.scanhook)
	b.do(chromedp.Navigate(w.loginLink(strings.TrimPrefix(details, w.scanhook))))
	b.until(`document.querySelector("#verdict.fail .status")?.textContent.includes("Shown on github")`)
	for _, screen := range []struct{ width, height int64 }{{1440, 900}, {390, 844}} {
		b.do(chromedp.EmulateViewport(screen.width, screen.height), chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
		b.shoot(fmt.Sprint("fold-", screen.width))
		hidden, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(belowTheFold, screen.height)))
		if err != nil || hidden != "" {
			t.Errorf("at %d×%d it is below the fold (%v): %s", screen.width, screen.height, err, hidden)
		}
	}
	b.do(chromedp.EmulateViewport(1100, 900), chromedp.Navigate(w.scanhook+"/alerts"))
	b.until(`document.querySelectorAll(".alerts li").length === 5`)
	b.examine("alerts")

	clicks := 0
	b.click(&clicks, ".alerts .what")
	b.until(`document.querySelector("h1").textContent.includes("#") && document.querySelector(".facts time") && document.querySelector(".finding .code")`)
	if clicks > 2 {
		t.Errorf("it takes %d clicks to see when a finding came", clicks)
	}
	b.examine("alert")
	b.do(chromedp.SendKeys(chromedp.CSS(".finding textarea"), "a fixture"))
	b.click(&clicks, ".finding button[value=FP]")
	b.until(`document.querySelector("#facts .state").textContent === "dismissed" && document.querySelector("#history").textContent.includes("a fixture")`)
	if clicks > 3 {
		t.Errorf("it takes %d clicks to dismiss a finding", clicks)
	}

	b.do(chromedp.Navigate(w.scanhook + "/alerts"))
	b.until(`document.querySelectorAll(".alerts li").length === 4`)
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("x"), chromedp.KeyEvent("k"), chromedp.KeyEvent("x"), chromedp.KeyEvent("?"))
	b.until(`[...document.querySelectorAll(".alerts input")].map((box) => Number(box.checked)).join("") === "1100" && !document.querySelector("[data-help]").hidden`)

	b.disableScripts(true)
	b.do(chromedp.Navigate(w.scanhook + "/alerts"))
	clicks = 0
	b.click(&clicks, `.facets a[href*="rule="]`)
	b.until(`document.querySelector(".chips a")`)
	b.click(&clicks, ".bulk [name=all]")
	b.do(chromedp.SendKeys(chromedp.CSS(".bulk textarea"), "fixtures"))
	b.click(&clicks, ".bulk button[value=FP]")
	b.until(`document.querySelector(".done")?.textContent.includes("as false positive") && !document.querySelector(".alerts")`)
	if clicks > 6 {
		t.Errorf("it takes %d clicks to clear a rule", clicks)
	}
	b.click(&clicks, ".done .undo")
	b.until(`document.querySelector(".done").textContent.includes("You withdrew") && document.querySelector(".alerts")`)
	b.disableScripts(false)
	b.do(chromedp.Navigate(w.scanhook + "/alerts?group=rule"))
	b.until(`document.querySelector(".alerts .what")`)
	b.examine("alerts-by-rule")
	b.do(chromedp.Navigate(w.scanhook + "/alerts?q=nothing+like+it"))
	b.examine("alerts-none")
	if len(b.foreign) > 0 {
		t.Errorf("requests to other hosts: %v", b.foreign)
	}
}
