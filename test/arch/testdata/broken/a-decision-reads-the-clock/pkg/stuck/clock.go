package stuck

import (
	"context"
	"time"
	clock "time"
)

func readings(ctx context.Context, t time.Time) (any, context.CancelFunc) {
	now := clock.Now                       // want clock "uses time.Now"
	_ = time.Since(t)                      // want clock "uses time.Since"
	_ = time.Until(t)                      // want clock "uses time.Until"
	_ = t.Local()                          // want clock "uses (time.Time).Local"
	_ = t.In(time.Local)                   // want clock "uses time.Local"
	time.Sleep(1)                          // want clock "does not wait"
	_, stop := context.WithTimeout(ctx, 1) // want clock "does not wait"
	return now, stop
}

// A name that looks the same means something else here.
type fake struct{}

func (fake) Now() int { return 1 }

func fine() int {
	time := fake{}
	return time.Now()
}
