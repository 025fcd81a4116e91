package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
)

// version is set by the linker in released builds.
var version string

func newVersion(*cli.Options) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  scanhook version", Args: cli.Exactly(0),
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprint(cmd.OutOrStdout(), versionLine())
		},
	}
}

func versionLine() string {
	return fmt.Sprintf("scanhook %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion is what the linker set, else what the Go tool recorded about the module or the commit.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	module := info.Main.Version
	if module == "(devel)" {
		module = ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && module == "" {
			module = "dev-" + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return cmp.Or(module, "dev")
}
