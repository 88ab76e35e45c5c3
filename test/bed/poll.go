package bed

import (
	"context"
	"fmt"
	"time"
)

// Poll calls the check until it returns nil, and returns its last error when
// that takes longer than allowed: the error says what is still missing.
func Poll(ctx context.Context, within time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var missing error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		// The one that the deadline itself caused says nothing.
		if ctx.Err() == nil || missing == nil {
			missing = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w after %s: %w", ctx.Err(), within, missing)
		case <-time.After(250 * time.Millisecond):
		}
	}
}
