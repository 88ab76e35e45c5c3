package journal

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// ending is how the files of runs end, and unfinished how those end that are still being made.
const (
	ending     = ".jsonl"
	unfinished = ".tmp"
)

// stamp is the first part of an ID, in UTC: IDs sort by time.
const stamp = "20060102-150405"

// letters are those of the random part of an ID: 32, so that each takes five bits, and none that is taken for another when it is read aloud.
const letters = "abcdefghjkmnpqrstuvwxyz023456789"

// ValidID tells whether a string has the form of the ID of a run: 20261123-214501-x7k2p9. What has not never becomes part of a path.
func ValidID(id string) bool {
	return regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[a-z0-9]{6}$`).MatchString(id)
}

func newID(now time.Time, chance io.Reader) (string, error) {
	now = now.UTC()
	if now.Year() < 1000 || now.Year() > 9999 {
		return "", fmt.Errorf("the run's time %s is no time", now.Format(time.RFC3339))
	}
	var b [6]byte
	if _, err := io.ReadFull(chance, b[:]); err != nil {
		return "", fmt.Errorf("random letters for the ID: %w", err)
	}
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return now.Format(stamp) + "-" + string(b[:]), nil
}

// fileName and draftName are the names of a run's file, when it is whole and while it is being made.
func fileName(id string) string  { return id + ending }
func draftName(id string) string { return "." + id + unfinished }

// idOf is the ID of the run that a file is of; empty where it is none.
func idOf(name string) string {
	if id, ok := strings.CutSuffix(name, ending); ok && ValidID(id) {
		return id
	}
	return ""
}

// staleDraft tells whether a file was left behind by a run that was killed while it made it, a day before now or longer ago.
func staleDraft(name string, now time.Time) bool {
	id, ok := strings.CutSuffix(name, unfinished)
	id, dot := strings.CutPrefix(id, ".")
	if !ok || !dot || !ValidID(id) {
		return false
	}
	at, err := time.Parse(stamp, id[:len(stamp)])
	return err == nil && now.Sub(at) > 24*time.Hour
}
