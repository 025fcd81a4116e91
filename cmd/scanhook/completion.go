package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/internal/config"
)

// completeFiles offers one file with one of the extensions.
func completeFiles(extensions ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	}
}

func completePlatforms(opts *options) cobra.CompletionFunc {
	return completeNames(opts, func(cfg *config.Config) []string { return slices.Sorted(maps.Keys(cfg.Platforms)) })
}

func completeScanners(opts *options) cobra.CompletionFunc {
	return completeNames(opts, func(cfg *config.Config) []string {
		var uploads []string
		for name, scanner := range cfg.Scanners {
			if scanner.Upload { // reports of the others are refused
				uploads = append(uploads, name)
			}
		}
		return slices.Sorted(slices.Values(uploads))
	})
}

func completeEvents(opts *options, platform *string) cobra.CompletionFunc {
	return completeNames(opts, func(cfg *config.Config) []string {
		return eventsOf(cfg.Platforms[*platform].Type)
	})
}

// completeNames offers names out of the configuration, and nothing where there is none that can be read.
func completeNames(opts *options, names func(*config.Config) []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		cfg, err := config.Load(opts.config, os.LookupEnv)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cfg), cobra.ShellCompDirectiveNoFileComp
	}
}

// printable is text from another machine without what could steer a terminal.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			return r
		}
		return -1
	}, text))
}
