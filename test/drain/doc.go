// Package drain tests the story of a broken node with the built binary and a real kubectl: `kubectl stuck node N --drain-and-delete`, what happens on
// the machine, `--wait`, `--restore` and `--probe`; what is refused, and what is left when the tool is killed on the way.
package drain
