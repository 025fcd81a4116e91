// Command systems checks the types of Scanhook and of all that it is made of on other systems, from their source: that takes an eighth
// of what compiling takes. From the root of the repository: go run -C .ci/tools ./systems windows darwin
package main

import (
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	for _, system := range os.Args[1:] {
		program, err := packages.Load(&packages.Config{
			Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedTypesSizes |
				packages.NeedSyntax | packages.NeedTypesInfo,
			Dir: "../..", Env: append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0"),
		}, "./cmd/scanhook")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if mistakes := packages.PrintErrors(program); mistakes > 0 {
			fmt.Fprintf(os.Stderr, "%d mistakes on %s\n", mistakes, system)
			os.Exit(1)
		}
	}
}
