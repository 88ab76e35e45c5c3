// Package sourcetest holds the contract that every source.Backend keeps: given the same objects, source.Load makes
// the same snapshot of them. It also makes synthetic dumps to measure with. Only tests import it.
package sourcetest
