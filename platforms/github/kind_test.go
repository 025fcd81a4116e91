package github_test

import (
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestKind(t *testing.T) {
	t.Parallel()
	platformtest.RunKind(t, github.Kind(), platforms.Config{})
}
