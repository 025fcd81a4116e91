package main

import (
	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/config"
)

func newConfig(opts *cli.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Describe the configuration", Example: "  scanhook config schema", Args: cli.OnlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(cli.Strict(newConfigSchema(opts)))
	return cmd
}

func newConfigSchema(opts *cli.Options) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of config.yaml, for editors",
		Long: "Prints the JSON Schema of config.yaml. An editor that knows it, such as Visual Studio Code with its YAML\n" +
			"extension or any other with yaml-language-server, completes keys, shows what they mean and marks mistakes\n" +
			"while you type. Write it beside config.yaml, whose first line names it:\n\n" +
			"  # yaml-language-server: $schema=config.schema.json\n\n" +
			"What needs more than the file, such as secrets in variables and names of scanners, scanhook check tests.",
		Example: "  scanhook config schema > config.schema.json", Args: cli.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema(opts.Types))
			return err
		},
	}
}
