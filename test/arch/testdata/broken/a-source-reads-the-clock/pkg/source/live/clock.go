package live

import "time"

func age(t time.Time) time.Duration { return time.Since(t) } // want clock "only cli reads the clock"
