package nodelog

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// written is when the lines of the table below were written.
var written = time.Date(2026, 3, 22, 15, 23, 22, 0, time.UTC)

func TestLinesOfEveryFormatAreTakenApart(t *testing.T) {
	now := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	ms, us, ns := written.Add(123*time.Millisecond), written.Add(123456*time.Microsecond), written.Add(123456789*time.Nanosecond)
	for name, c := range map[string]struct {
		line, format, unit string
		time               time.Time
	}{
		"klog":                                 {`E0322 15:23:22.123456    1234 kubelet.go:2480] "Skipping pod synchronization"`, formatKlog, "", us},
		"klog without a fraction":              {`W0322 15:23:22    1234 a.go:1] x`, formatKlog, "", written},
		"containerd":                           {`time="2026-03-22T15:23:22.123456789Z" level=error msg="x \"y\""`, formatLogfmt, "", ns},
		"dockerd with a zone":                  {`time="2026-03-22T17:23:22.123456789+02:00" level=error msg=x`, formatLogfmt, "", ns},
		"CRI-O":                                {`time="2026-03-22 15:23:22.123456789Z" level=info msg="x"`, formatLogfmt, "", ns},
		"go-kit":                               {`level=info ts=2026-03-22T15:23:22.123Z caller=main.go:1 msg=x`, formatLogfmt, "", ms},
		"syslog":                               {`Mar 22 15:23:22 worker-3 systemd-udevd[512]: fork of child failed`, formatSyslog, "systemd-udevd", written},
		"syslog of the kernel":                 {`Mar 22 15:23:22 worker-3 kernel: [123.456789] nfs: x`, formatSyslog, "kernel", written},
		"syslog with klog in it":               {`Mar 22 15:23:22 worker-3 kubelet[12]: E0322 15:23:22.123456    1234 a.go:1] x`, formatSyslog, "kubelet", written},
		"syslog of a program with a path":      {`Mar 22 15:23:22 worker-3 /usr/bin/dockerd[12]: x`, formatSyslog, "/usr/bin/dockerd", written},
		"syslog with nothing behind the colon": {`Mar 22 15:23:22 worker-3 kubelet[12]:`, formatSyslog, "kubelet", written},
		"syslog with a priority":               {`<30>Mar 22 15:23:22 worker-3 kubelet[12]: x`, formatSyslog, "kubelet", written},
		"syslog where months have numbers":     {`3月 22 15:23:22 worker-3 dockerd[7]: x`, formatSyslog, "dockerd", written},
		"short-precise where they have":        {`3月  22 15:23:22.123456 worker-3 dockerd[7]: x`, formatSyslog, "dockerd", us},
		"short-precise":                        {`Mar 22 15:23:22.123456 worker-3 kubelet[12]: x`, formatSyslog, "kubelet", us},
		"RFC 5424":                             {`<30>1 2026-03-22T15:23:22.123456Z worker-3 kubelet 12 - - x`, formatRFC5424, "kubelet", us},
		"RFC 5424 without a program":           {`<30>1 2026-03-22T15:23:22.123456+00:00 worker-3 - - - - x`, formatRFC5424, "", us},
		"rsyslog":                              {`2026-03-22T15:23:22.123456+00:00 worker-3 containerd[9]: x`, formatISO, "containerd", us},
		"short-iso":                            {`2026-03-22T10:23:22-0500 worker-3 kubelet[12]: x`, formatISO, "kubelet", written},
		"short-iso with a colon in the zone":   {`2026-03-22T20:53:22+05:30 worker-3 kubelet[12]: x`, formatISO, "kubelet", written},
		"short-full":                           {`Sun 2026-03-22 15:23:22 UTC worker-3 kubelet[12]: x`, formatISO, "kubelet", written},
		"short-full with a unit":               {`Sun 2026-03-22 15:23:22.123456 UTC worker-3 kubelet.service[12]: x`, formatISO, "kubelet.service", us},
		"short-unix":                           {`1774193002.123456 worker-3 kubelet[12]: x`, formatISO, "kubelet", us},
		"Python":                               {`2026-03-22 15:23:22,123 ERROR x`, formatISO, "", ms},
		"Go's own":                             {`2026/03/22 15:23:22 x`, formatISO, "", written},
		"calico":                               {`2026-03-22 15:23:22.123 [INFO][71] felix/table.go 440: x`, formatISO, "", ms},
		"a container's log":                    {`2026-03-22T15:23:22.123456789Z stderr F I0322 15:23:22.1 1 a.go:1] x`, formatCRI, "", ns},
		"a part of a container's line":         {`2026-03-22T15:23:22.123456789+00:00 stdout P x`, formatCRI, "", ns},
		"dmesg":                                {`[123456.789012] nfs: server nas-7 not responding, still trying`, formatKernel, "kernel", time.Time{}},
		"dmesg of the first seconds":           {`[    0.000000] Linux version 6.8`, formatKernel, "kernel", time.Time{}},
		"dmesg with a priority":                {`<3>[123456.789012] INFO: task runc:4711 blocked for more than 120 seconds.`, formatKernel, "kernel", time.Time{}},
		"dmesg -T":                             {`[Sun Mar 22 15:23:22 2026] nfs: x`, formatKernel, "kernel", written},
		"dmesg -x":                             {`kern  :err   : [123456.789012] nfs: x`, formatKernel, "kernel", time.Time{}},
		"short-monotonic":                      {`[123456.789012] worker-3 kubelet[12]: E0322 15:23:22.123456    1234 a.go:1] x`, formatKernel, "kubelet", us},
		"kubelet's JSON":                       {`{"ts":1774193002123.456,"caller":"a/b.go:1","msg":"x","v":0}`, formatJSON, "", us},
		"JSON in seconds":                      {`{"ts":1774193002.123456,"msg":"x"}`, formatJSON, "", us},
		"containerd's JSON":                    {`{"level":"error","msg":"x","time":"2026-03-22T15:23:22.123456789Z"}`, formatJSON, "", ns},
		"dockerd's copy of a container":        {`{"log":"x\n","stream":"stderr","time":"2026-03-22T15:23:22.123456789Z"}`, formatJSON, "", ns},
		"journald's JSON":                      {`{"__REALTIME_TIMESTAMP":"1774193002123456","MESSAGE":"x","_SYSTEMD_UNIT":"kubelet.service","SYSLOG_IDENTIFIER":"kubelet"}`, formatJournald, "kubelet.service", us},
		"journald's JSON with spaces":          {`{ "__CURSOR" : "s=1", "__REALTIME_TIMESTAMP" : "1774193002123456", "SYSLOG_IDENTIFIER" : "kernel", "MESSAGE" : "x" }`, formatJournald, "kernel", us},
		"journald's JSON of the manager":       {`{"__REALTIME_TIMESTAMP":"1774193002123456","MESSAGE":"x","_SYSTEMD_UNIT":"init.scope","SYSLOG_IDENTIFIER":"systemd"}`, formatJournald, "systemd", us},
		"journald's JSON, cut":                 {`{"__REALTIME_TIMESTAMP":"1774193002123456","SYSLOG_IDENTIFIER":"kubelet","MESSAGE":"x and so `, formatJournald, "kubelet", us},
		"nothing of the kind":                  {`runtime: failed to create new OS thread`, formatPlain, "", time.Time{}},
		"a bracket that is no time":            {`[FAILED] Failed to start kubelet`, formatPlain, "", time.Time{}},
		"a brace that is no JSON":              {`{kubelet worker-3} x`, formatPlain, "", time.Time{}},
		"a month that is none":                 {`Foo 22 15:23:22 worker-3 kubelet[12]: x`, formatPlain, "", time.Time{}},
		"nothing":                              {``, formatPlain, "", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			h := clock{now: now}.header([]byte(c.line))
			if h.format != c.format || h.unit != c.unit || !h.time.Equal(c.time) {
				t.Errorf("%s\ngot  %s %q %s\nwant %s %q %s", c.line, h.format, h.unit, h.time, c.format, c.unit, c.time)
			}
		})
	}
}

func TestATimeWithoutAYearIsTheLastThatIsNotInTheFuture(t *testing.T) {
	cest := time.FixedZone("CEST", 2*60*60)
	for name, c := range map[string]struct {
		line      string
		now, want time.Time
	}{
		"this year":                {"Mar 22 15:23:22 h p: x", time.Date(2026, 3, 22, 16, 0, 0, 0, time.UTC), written},
		"last year":                {"Dec 31 23:59:59 h p: x", time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC)},
		"last year, of klog":       {"I1231 23:59:59.000000 1 a.go:1] x", time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC)},
		"a day that is not yet":    {"Mar 24 15:23:22 h p: x", time.Date(2026, 3, 22, 16, 0, 0, 0, time.UTC), time.Date(2025, 3, 24, 15, 23, 22, 0, time.UTC)},
		"one figure for the day":   {"Mar  2 15:23:22 h p: x", time.Date(2026, 3, 22, 16, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 15, 23, 22, 0, time.UTC)},
		"two figures for it":       {"Mar 02 15:23:22 h p: x", time.Date(2026, 3, 22, 16, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 15, 23, 22, 0, time.UTC)},
		"29 February":              {"Feb 29 15:23:22 h p: x", time.Date(2026, 3, 22, 16, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 15, 23, 22, 0, time.UTC)},
		"the zone of now":          {"Mar 22 17:23:22 h p: x", time.Date(2026, 3, 22, 18, 0, 0, 0, cest), written},
		"a zone to the east":       {"Mar 22 15:23:22 h p: x", time.Date(2026, 3, 22, 9, 0, 0, 0, time.UTC), time.Date(2026, 3, 22, 9, 0, 0, 0, time.UTC)},
		"the year has turned east": {"Jan  1 03:00:00 h p: x", time.Date(2025, 12, 31, 22, 0, 0, 0, time.UTC), time.Date(2025, 12, 31, 22, 0, 0, 0, time.UTC)},
		"nobody knows what now is": {"Mar 22 15:23:22 h p: x", time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if h := (clock{now: c.now}).header([]byte(c.line)); !h.time.Equal(c.want) || h.time.After(c.now) {
				t.Errorf("%s, read at %s: %s, want %s", c.line, c.now, h.time, c.want)
			}
		})
	}
}

func TestALineThatTellsYearAndZoneTellsThemForTheOthers(t *testing.T) {
	text := `Mar 22 15:23:22 host dockerd: time="2023-03-22T15:23:22.849523296+08:00" level=warning msg="fork/exec /usr/bin/runc: resource temporarily unavailable"
Mar 22 15:23:23 host systemd-udevd: fork of child failed: Resource temporarily unavailable
`
	s, err := New([]diagnose.Cause{{Code: "ST999", Slug: "forks", Log: diagnose.Lines("resource temporarily unavailable")}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Scan(strings.NewReader(text), Input{Name: "messages", Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Matches) != 1 || l.Matches[0].Count != 2 {
		t.Fatalf("matches: %+v", l.Matches)
	}
	first, last := time.Date(2023, 3, 22, 7, 23, 22, 849523296, time.UTC), time.Date(2023, 3, 22, 7, 23, 23, 0, time.UTC)
	if m := l.Matches[0]; !m.First.Equal(first) || !m.Last.Equal(last) {
		t.Errorf("from %s to %s, want %s to %s", m.First, m.Last, first, last)
	}
	if !slices.Equal(l.Hosts, []string{"host"}) {
		t.Errorf("hosts: %q", l.Hosts)
	}
}
