// Command dryrun runs each command of a K9s plugins.yaml as K9s would, on a cluster that does not answer, and fails
// where the plugin took it for a mistake in usage or was not given exactly what K9s filled in.
//
// The values filled in are hostile on purpose: a context may be called anything. It needs a kubectl on PATH and
// changes nothing outside a temporary folder.
package main
