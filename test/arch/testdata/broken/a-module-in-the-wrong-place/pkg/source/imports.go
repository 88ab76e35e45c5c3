package source

import (
	_ "github.com/olekukonko/tablewriter" // want restricted-imports "only for render"
	_ "k8s.io/client-go/rest"             // want restricted-imports "only for source/live, apply, cli"
	_ "k8s.io/client-go/util/jsonpath"    // want restricted-imports "only for render, cli"
	_ "k8s.io/kubectl/pkg/cmd/util"       // want restricted-imports "belongs to the command line"
)
