// Package arch keeps the rules of the house: which package may know which, who may read the clock, the environment
// and files, who may write to a cluster, and what no package may have.
//
// A rule looks at every package that is found, not at a list, and finding none to look at is a failure. Code is
// type-checked, so a rule sees what a name means and not how it is spelt. The house below pkg is described in
// house.go, the rules are in rules.go, and testdata has a small house for which all of them hold and, for each,
// changes that break it.
//
// It reads source code with the go command, and nothing else. It must not import what it judges.
package arch
