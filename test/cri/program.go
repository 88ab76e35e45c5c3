package cri

import (
	"context"
	"path"
	"strconv"
	"strings"
	"time"
)

// program is what a simulated process does: its steps one after the other, and
// how it takes a SIGTERM.
type program struct {
	steps       []step
	ignoresTerm bool
	// termCode is the exit code after a SIGTERM.
	termCode int32
}

// step waits, and then may end the process.
type step struct {
	wait    time.Duration
	forever bool
	exit    bool
	code    int32
}

const (
	codeKilled     = 137 // 128 + SIGKILL
	codeTerminated = 143 // 128 + SIGTERM
)

// parseProgram reads a container's command line. `sleep`, `exit`, `true`,
// `false`, `echo` and an empty trap of TERM are understood, alone or as a script of
// `sh -c` with `;`, `&&` and line ends between them. Everything else is taken
// for a server: it runs until it is told to end, and ends cleanly.
func parseProgram(command, args []string) program {
	return parse(command, args, step{forever: true})
}

// parseHook reads the command of an exec hook or probe, in which an unknown
// word is a command that succeeds at once.
func parseHook(command []string) program {
	return parse(command, nil, step{})
}

func parse(command, args []string, unknown step) program {
	words := append(append([]string{}, command...), args...)
	if len(words) == 0 {
		return program{steps: []step{unknown}}
	}
	if isShell(words[0]) && len(words) >= 3 && words[1] == "-c" {
		return parseScript(words[2], unknown)
	}
	var p program
	p.add(words, unknown)
	return p
}

func isShell(word string) bool {
	switch path.Base(word) {
	case "sh", "bash", "ash":
		return true
	}
	return false
}

func parseScript(script string, unknown step) program {
	// A shell that is ended by a signal says so; a server ends cleanly.
	p := program{termCode: codeTerminated}
	script = strings.NewReplacer("&&", "\n", ";", "\n").Replace(script)
	for line := range strings.Lines(script) {
		if words := strings.Fields(line); len(words) > 0 {
			p.add(words, unknown)
		}
	}
	return p
}

func (p *program) add(words []string, unknown step) {
	if words[0] == "exec" && len(words) > 1 {
		words = words[1:]
	}
	argument := ""
	if len(words) > 1 {
		argument = words[1]
	}
	switch path.Base(words[0]) {
	case "sleep":
		wait, forever := parseSleep(argument)
		p.steps = append(p.steps, step{wait: wait, forever: forever})
		p.termCode = codeTerminated
	case "exit":
		code, err := strconv.ParseInt(argument, 10, 32)
		if err != nil {
			code = 0
		}
		p.steps = append(p.steps, step{exit: true, code: int32(code)})
	case "false":
		p.steps = append(p.steps, step{exit: true, code: 1})
	case "trap":
		p.ignoresTerm = argument == "''" || argument == `""`
	case "true", "echo", "set", ":":
	default:
		p.steps = append(p.steps, unknown)
		if unknown.forever {
			p.termCode = 0
		}
	}
}

func parseSleep(argument string) (wait time.Duration, forever bool) {
	if argument == "infinity" {
		return 0, true
	}
	if seconds, err := strconv.ParseFloat(argument, 64); err == nil {
		return time.Duration(seconds * float64(time.Second)), false
	}
	if wait, err := time.ParseDuration(argument); err == nil {
		return wait, false
	}
	return 0, false
}

// run returns the exit code, or the context's error when that ended first.
func (p program) run(ctx context.Context) (int32, error) {
	for _, s := range p.steps {
		if s.forever {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		if s.wait > 0 {
			timer := time.NewTimer(s.wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return 0, ctx.Err()
			}
		}
		if s.exit {
			return s.code, nil
		}
	}
	return 0, nil
}
