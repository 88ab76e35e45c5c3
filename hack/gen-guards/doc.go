// Command gen-guards prints docs/GUARDS.md: what the tool can do to a pod, and what each guard prevents, made from the remedies and guards
// themselves, so that the page cannot fall behind the code.
package main
