// Command gen-rights prints docs/RIGHTS.md: the ClusterRoles that the plugin needs, made from the kinds that its plan and its
// causes declare, so that the page cannot fall behind the code.
package main
