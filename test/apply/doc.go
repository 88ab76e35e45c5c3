// Package apply holds package apply of the plugin against a real API server: what it takes for granted of deletions, patches, dry runs, rights and
// refusals, and that plans are carried out as they say.
package apply
