// Command gen-causes-doc prints docs/causes.md: the catalogue of causes, from the docs that each of them carries.
package main
