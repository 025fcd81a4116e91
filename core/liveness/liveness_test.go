package liveness_test

import (
	"testing"

	"github.com/scanhook/scanhook/core/liveness"
)

// BenchmarkJudgeHooks judges ten thousand projects of a platform, as is done once a minute; half of them have died.
func BenchmarkJudgeHooks(b *testing.B) {
	friday := monday.AddDate(0, 0, -3)
	hooks := make([]liveness.Hook, 10_000)
	for i := range hooks {
		hooks[i] = liveness.Hook{Platform: "github", Project: "acme/shop", Calls: workdays(friday.AddDate(0, 0, -21*(i%2)), 60)}
	}
	for b.Loop() {
		liveness.Judge(hooks, friday)
	}
}
