// Package remedy decides what could be done about a stuck pod, what each way costs here, and what forbids it.
//
// It holds the ladder of remedies, least dangerous first, the guards, and the plan: the exact calls, as data. It is pure:
// a snapshot in, verdicts and steps out. Nothing here changes anything, and nothing here can: package apply carries a
// plan out, package journal writes down what was done, and both use the types of this package.
package remedy
