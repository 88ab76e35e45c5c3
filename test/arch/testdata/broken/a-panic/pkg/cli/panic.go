package cli

import "log"

func give(up bool) {
	if up {
		panic("no") // want no-panic "builtin panic"
	}
	log.Panicln("no") // want no-panic "log.Panicln"
}

func fine(panic func(string)) { panic("a parameter of that name") }
