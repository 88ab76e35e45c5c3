package nodelog

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// The formats of lines, as Log.Format names them.
const (
	formatPlain    = "plain"
	formatKlog     = "klog"
	formatLogfmt   = "logfmt"
	formatSyslog   = "syslog"  // RFC 3164: "Mar 22 15:23:22 host kubelet[1]: …"
	formatRFC5424  = "rfc5424" // "<30>1 2026-03-22T15:23:22Z host kubelet 1 - - …"
	formatISO      = "iso"     // a whole date first, as rsyslog and journalctl's short-iso and short-full write
	formatCRI      = "cri"     // a container's log below /var/log/pods
	formatKernel   = "kernel"  // dmesg: "[12345.678901] …"
	formatJSON     = "json"
	formatJournald = "journald-json"
	formatExport   = "journald-export"
)

// header is what stands before the message of a line, as far as it is understood.
type header struct {
	format string
	time   time.Time      // zero where the line carries none
	whole  bool           // the time was written with its year
	zone   *time.Location // of the machine, where a line tells the same moment twice, with a zone and without
	unit   string
	host   string // where the format has one, and a program behind it
	// message, where it is set, is what is shown instead of the line: what a format of journald holds. Decoded tells that it does not stand there as
	// text.
	message []byte
	decoded bool
}

// clock reads times. Now completes those without a year, and its location those without a zone; near, where it is set, is a time of the same
// stream that was written with its year, which tells the year better.
type clock struct{ now, near time.Time }

// learn takes the year from a line that has it, for those that have none.
func (c *clock) learn(h header) {
	if h.whole && !h.time.IsZero() {
		c.near = h.time
	}
	if h.zone != nil && !c.now.IsZero() {
		c.now = c.now.In(h.zone)
	}
}

// header takes a line apart. Lines of every format may stand in one stream, and one in another: kubelet's klog in a line of syslog.
func (c clock) header(line []byte) header {
	line = bytes.TrimLeft(line, "\x00 \t")
	if len(line) == 0 {
		return header{format: formatPlain}
	}
	if line[0] == '{' {
		if h, ok := c.json(line); ok {
			return h
		}
	}
	h, rest, ok := c.prefix(line)
	if !ok {
		h.format = formatPlain
		return h
	}
	if h.time.IsZero() && len(rest) < len(line) {
		inner := c.header(rest) // the kernel's clock counts from its start: what the program wrote itself is better
		h.time, h.whole = inner.time, inner.whole
	}
	return h
}

// prefix reads the one format that the line begins with.
func (c clock) prefix(line []byte) (h header, rest []byte, ok bool) {
	for _, read := range []func([]byte) (header, []byte, bool){c.klog, c.logfmt, c.priority, c.dated, c.kernel} {
		if h, rest, ok = read(line); ok {
			return h, rest, true
		}
	}
	return header{}, line, false
}

// klog is "I0322 15:23:22.123456    1234 kubelet.go:12] …".
func (c clock) klog(line []byte) (header, []byte, bool) {
	if len(line) < 21 || strings.IndexByte("IWEF", line[0]) < 0 || !digits(line[1:5]) || line[5] != ' ' || line[8] != ':' {
		return header{}, nil, false
	}
	end := bytes.IndexByte(line[6:], ' ')
	if end < 0 {
		return header{}, nil, false
	}
	t, err := time.Parse("0102 15:04:05", string(line[1:6+end])) // a fraction is accepted where the layout has none
	if err != nil {
		return header{}, nil, false
	}
	return header{format: formatKlog, time: c.complete(t)}, nil, true
}

// logfmt is `time="2026-03-22T15:23:22Z" level=info msg="…"`, as containerd, dockerd and CRI-O write, and the like with ts= and without quotes.
func (c clock) logfmt(line []byte) (header, []byte, bool) {
	const near = 200 // bytes in which the time stands
	head := line[:min(len(line), near)]
	for _, key := range []string{"time=", "ts=", "t="} {
		i := bytes.Index(head, []byte(key))
		if i < 0 || i > 0 && (head[i-1] != ' ' || !bytes.HasPrefix(head, []byte("level="))) {
			continue
		}
		value := head[i+len(key):]
		if len(value) > 0 && value[0] == '"' {
			value, _, _ = bytes.Cut(value[1:], []byte(`"`))
		} else {
			value, _, _ = bytes.Cut(value, []byte(" "))
		}
		if t, n := c.date(value); n > 0 {
			return header{format: formatLogfmt, time: t, whole: true}, nil, true
		}
	}
	return header{}, nil, false
}

// priority is "<30>" before a line of syslog, or of the kernel.
func (c clock) priority(line []byte) (header, []byte, bool) {
	end := bytes.IndexByte(line[:min(len(line), 5)], '>')
	if line[0] != '<' || end < 2 || !digits(line[1:end]) {
		return header{}, nil, false
	}
	rest := line[end+1:]
	if version, body, ok := bytes.Cut(rest, []byte(" ")); ok && string(version) == "1" {
		f := bytes.SplitN(body, []byte(" "), 4) // time, host, program, the rest
		if len(f) == 4 {
			if t, n := c.date(f[0]); n > 0 || string(f[0]) == "-" {
				return header{format: formatRFC5424, time: t, whole: n > 0, unit: unitName(f[2]), host: unitName(f[1])}, nil, true
			}
		}
	}
	h, rest, ok := c.dated(rest)
	if !ok {
		h, rest, ok = c.kernel(line[end+1:])
	}
	return h, rest, ok
}

// dated is a line that begins with a date: of syslog, of journalctl, or of a container's log.
func (c clock) dated(line []byte) (header, []byte, bool) {
	h := header{format: formatISO}
	var n int
	switch {
	case len(line) == 0:
		return header{}, nil, false
	case line[0] >= 'A' && line[0] <= 'Z' && len(line) > 3:
		if h.time, n = c.stamp(line); n > 0 {
			h.format = formatSyslog
		} else if day := bytes.IndexByte(line[:4], ' '); day == 3 && len(line) > 4 { // "Sun 2026-03-22 15:23:22 UTC host …"
			if h.time, n = c.date(line[4:]); n > 0 {
				n += 4
			}
		}
	default:
		if h.time, n = c.date(line); n > 0 {
			break
		}
		if h.time, n = unix(line); n > 0 {
			break
		}
		if h.time, n = c.numbered(line); n > 0 {
			h.format = formatSyslog
		}
	}
	if n == 0 {
		return header{}, nil, false
	}
	rest := bytes.TrimLeft(line[n:], " ")
	for _, stream := range []string{"stdout ", "stderr "} {
		if tag, ok := bytes.CutPrefix(rest, []byte(stream)); ok && h.format == formatISO && len(tag) > 1 && (tag[0] == 'F' || tag[0] == 'P') {
			h.format = formatCRI
			return h, nil, true
		}
	}
	h.whole = h.format == formatISO
	if h.format == formatSyslog && bytes.HasPrefix(rest, []byte("20")) && len(rest) > 5 && digits(rest[:4]) && rest[4] == ' ' {
		rest = rest[5:] // a year behind, as "Mar 22 15:23:22 2026 host"
	}
	if h.unit = program(rest, false); h.unit != "" {
		host, _, _ := bytes.Cut(rest, []byte(" "))
		h.host = unitName(host)
		if _, message, ok := bytes.Cut(rest[:min(len(rest), 512)], []byte(": ")); ok && !h.whole {
			if inner, _, ok := c.logfmt(message); ok && !inner.time.IsZero() { // what the program wrote itself has a year, and a zone
				h.time, h.whole, h.zone = inner.time, true, zoneOf(line, inner.time)
			}
		}
	}
	return h, nil, true
}

// kernel is "[12345.678901] …" or, of dmesg -T, "[Sun Mar 22 15:23:22 2026] …", and journalctl's short-monotonic, in which host and program follow.
func (c clock) kernel(line []byte) (header, []byte, bool) {
	if i := bytes.Index(line[:min(len(line), 32)], []byte(": [")); i > 0 && bytes.IndexByte(line[:i], ':') > 0 { // dmesg -x: "kern  :err   : ["
		line = line[i+2:]
	}
	end := bytes.IndexByte(line[:min(len(line), 40)], ']')
	if end < 4 || line[0] != '[' {
		return header{}, nil, false
	}
	inner := bytes.TrimSpace(line[1:end])
	h := header{format: formatKernel}
	if t, err := time.Parse("Mon Jan _2 15:04:05 2006", string(inner)); err == nil {
		h.time = c.zoned(t)
	} else if _, err := strconv.ParseFloat(string(inner), 64); err != nil {
		return header{}, nil, false
	}
	rest := bytes.TrimLeft(line[end+1:], " ")
	if h.unit = program(rest, true); h.unit != "" {
		_, rest, _ = bytes.Cut(rest, []byte(": "))
		return h, rest, true
	}
	h.unit = "kernel"
	return h, rest, true
}

// program is the name in "host program[pid]: message", or empty. Sure asks for what can be nothing else: a number, or the kernel.
func program(rest []byte, sure bool) string {
	_, tail, ok := bytes.Cut(rest[:min(len(rest), 512)], []byte(" ")) // the host
	if !ok {
		return ""
	}
	name, _, ok := bytes.Cut(tail, []byte(": "))
	if !ok {
		if name, ok = bytes.CutSuffix(tail, []byte(":")); !ok {
			return ""
		}
	}
	number := false
	if i := bytes.IndexByte(name, '['); i > 0 && name[len(name)-1] == ']' {
		name, number = name[:i], true
	}
	if len(name) == 0 || len(name) > 128 || bytes.ContainsAny(name, " \t\"=[]{}") || sure && !number && string(name) != "kernel" {
		return ""
	}
	return string(name)
}

// unitName is a name, or nothing for the dash that stands for none.
func unitName(b []byte) string {
	if string(b) == "-" {
		return ""
	}
	return string(b[:min(len(b), 128)])
}

// stamp reads "Mar 22 15:23:22", with a fraction or without, and returns how long it is; 0 where there is none.
func (c clock) stamp(line []byte) (time.Time, int) {
	const length = len("Jan _2 15:04:05")
	if len(line) < length || line[3] != ' ' || line[9] != ':' {
		return time.Time{}, 0
	}
	n := length + fraction(line[length:])
	t, err := time.Parse(time.Stamp, string(line[:n]))
	if err != nil {
		if t, err = time.Parse("Jan 02 15:04:05", string(line[:n])); err != nil {
			return time.Time{}, 0
		}
	}
	return c.complete(t), n
}

// numbered reads "3月 22 15:23:22", as journalctl writes where the language of the system numbers its months.
func (c clock) numbered(line []byte) (time.Time, int) {
	month, rest, ok := bytes.Cut(line[:min(len(line), 40)], []byte("月 "))
	if !ok || len(month) > 2 || !digits(month) {
		return time.Time{}, 0
	}
	day := bytes.TrimLeft(rest, " ")
	const ofDay = len("15:04:05")
	i := bytes.IndexByte(day, ' ')
	if i < 1 || i > 2 || len(day) < i+1+ofDay {
		return time.Time{}, 0
	}
	end := i + 1 + ofDay + fraction(day[i+1+ofDay:])
	t, err := time.Parse("1 2 15:04:05", string(month)+" "+string(day[:end]))
	if err != nil {
		return time.Time{}, 0
	}
	return c.complete(t), len(month) + len("月 ") + len(rest) - len(day) + end
}

// date reads "2026-03-22T15:23:22.123Z" and what is written like it: a space for the T, a comma before the fraction, a zone of any of the usual forms
// or none. It returns how long it is; 0 where there is none.
func (c clock) date(b []byte) (time.Time, int) {
	const length = len("2006-01-02T15:04:05")
	if len(b) < length || !digits(b[:4]) || b[4] != '-' && b[4] != '/' || b[10] != 'T' && b[10] != ' ' || b[13] != ':' {
		return time.Time{}, 0
	}
	day := []byte(string(b[:length]))
	day[4], day[7], day[10] = '-', '-', 'T'
	n := length + fraction(b[length:])
	t, err := time.Parse("2006-01-02T15:04:05", strings.Replace(string(day)+string(b[length:n]), ",", ".", 1))
	if err != nil {
		return time.Time{}, 0
	}
	zone := b[n:]
	switch {
	case len(zone) > 0 && zone[0] == 'Z':
		return t, n + 1
	case len(zone) >= 5 && (zone[0] == '+' || zone[0] == '-') && digits(zone[1:3]):
		width := 5
		if zone[3] == ':' {
			width = 6
		}
		if len(zone) >= width && digits(zone[width-2:width]) {
			hours, _ := strconv.Atoi(string(zone[1:3]))
			minutes, _ := strconv.Atoi(string(zone[width-2 : width]))
			east := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
			if zone[0] == '-' {
				east = -east
			}
			return t.Add(-east), n + width
		}
	case len(zone) > 3 && zone[0] == ' ' && capitals(zone[1:4]): // " UTC", " CEST" of journalctl
		width := 4
		for width < len(zone) && width < 6 && capitals(zone[width:width+1]) {
			width++
		}
		if name := string(zone[1:width]); width == len(zone) || zone[width] == ' ' {
			if name == "UTC" || name == "GMT" {
				return t, n + width
			}
			return c.zoned(t), n + width
		}
	}
	return c.zoned(t), n
}

// unix reads "1711120000.123456", of journalctl's short-unix.
func unix(line []byte) (time.Time, int) {
	if len(line) < 18 || !digits(line[:10]) || line[10] != '.' || !digits(line[11:17]) || line[17] != ' ' {
		return time.Time{}, 0
	}
	s, _ := strconv.ParseInt(string(line[:10]), 10, 64)
	us, _ := strconv.ParseInt(string(line[11:17]), 10, 64)
	return time.Unix(s, us*1000).UTC(), 17
}

// fraction is how long the fraction of a second is that b begins with.
func fraction(b []byte) int {
	if len(b) < 2 || b[0] != '.' && b[0] != ',' || b[1] < '0' || b[1] > '9' {
		return 0
	}
	n := 1
	for n < len(b) && n < 10 && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// zoned reads a time that was written without its zone: that of now.
func (c clock) zoned(t time.Time) time.Time {
	if c.now.IsZero() {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), c.now.Location()).UTC()
}

// easternmost is how far the clock of a zone can be ahead of another's: a time that much after now was written in another zone, not last year.
const easternmost = 26 * time.Hour

// complete gives a time the year that it was written without: the last in which it was not in the future.
func (c clock) complete(t time.Time) time.Time {
	if c.now.IsZero() {
		return time.Time{}
	}
	if !c.near.IsZero() && c.near.Before(c.now.Add(-easternmost)) {
		return c.nearest(t)
	}
	for year := c.now.Year() + 1; year > c.now.Year()-9; year-- { // the next as well: now may be in a zone in which the year has not turned
		if day := time.Date(year, t.Month(), t.Day(), 0, 0, 0, 0, time.UTC); day.Month() != t.Month() {
			continue // 29 February
		}
		at := c.zoned(time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC))
		switch ahead := at.Sub(c.now); {
		case ahead <= 0:
			return at
		case ahead <= easternmost:
			return c.now.UTC() // it was written in a zone to the east: as late as can be
		}
	}
	return time.Time{}
}

// zoneOf is the zone in which a line of syslog was stamped that tells the moment itself as well; nil where the two are no zone apart.
func zoneOf(line []byte, at time.Time) *time.Location {
	const step, slack = 15 * time.Minute, 5 * time.Second
	t, err := time.Parse(time.Stamp, string(line[:min(len(line), len(time.Stamp))]))
	if err != nil {
		return nil
	}
	at = at.UTC()
	for year := at.Year() - 1; year <= at.Year()+1; year++ { // the year may turn between the two
		off := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC).Sub(at)
		if zone := off.Round(step); (off-zone).Abs() <= slack && zone.Abs() <= 14*time.Hour {
			return time.FixedZone("", int(zone/time.Second))
		}
	}
	return nil
}

// nearest gives a time the year in which it is closest to one that is known.
func (c clock) nearest(t time.Time) time.Time {
	var best time.Time
	for year := c.near.Year() - 1; year <= c.near.Year()+1; year++ {
		if day := time.Date(year, t.Month(), t.Day(), 0, 0, 0, 0, time.UTC); day.Month() != t.Month() {
			continue // 29 February
		}
		at := c.zoned(time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC))
		if at.Sub(c.now) <= easternmost && (best.IsZero() || at.Sub(c.near).Abs() < best.Sub(c.near).Abs()) {
			best = at
		}
	}
	if best.After(c.now) {
		return c.now.UTC()
	}
	return best
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

func capitals(b []byte) bool {
	for _, c := range b {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(b) > 0
}
