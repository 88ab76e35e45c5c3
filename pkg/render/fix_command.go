package render

import (
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// quoted is an argument as a shell takes it. What needs no quotes gets none.
func quoted(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:@=,+%", r)
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// with names the context in a command of kubectl: a change that is copied into another terminal, or run after somebody chose another context there, must
// not reach another cluster. Of a dump the dump is named. Commands that are no calls of kubectl are left alone.
func (f *fixPage) with(command string) string {
	if c := f.doc.Origin.Context; c != "" && f.doc.Origin.Path == "" {
		return inContext(command, c)
	}
	if path := f.doc.Origin.Path; path != "" && strings.HasPrefix(command, "kubectl stuck fix ") && !strings.Contains(command, " --from ") {
		return command + " --from " + quoted(path)
	}
	return command
}

// inContext puts --context where both kubectl and a plugin of it take it: a plugin's flags must not stand before its name.
func inContext(command, context string) string {
	flag := " --context " + quoted(context)
	if strings.Contains(command, " --context") {
		return command
	}
	if rest, ok := strings.CutPrefix(command, "kubectl stuck "); ok {
		return "kubectl stuck " + rest + flag
	}
	if rest, ok := strings.CutPrefix(command, "kubectl "); ok {
		return "kubectl" + flag + " " + rest
	}
	return command
}

// flagOf is the flag that asks for a rung.
func flagOf(id remedy.ID) string {
	switch id {
	case remedy.DeletePod:
		return "--delete"
	case remedy.ForceDelete:
		return "--force"
	case remedy.RemoveFinalizers:
		return "--finalizers"
	default:
		return ""
	}
}

// byFlag tells whether a flag lifted the block, and not what a person attests: their words may begin with dashes too.
func byFlag(v remedy.Verdict) bool {
	return v.Lifted && strings.HasPrefix(v.By, "--") && !strings.HasPrefix(v.Override, "--attest")
}

// call is the command that carries out a rung of the tool, with the flags that lift what the person has lifted, or, where it is to lift the rest as well,
// every flag that it takes. It is empty where no command can do it.
func (f *fixPage) call(pod report.Pod, r remedy.Rung, lift bool) string {
	const mine = "kubectl stuck fix "
	var c string
	if i := slices.IndexFunc(r.Commands, func(s string) bool { return strings.HasPrefix(s, mine) }); i >= 0 {
		c = r.Commands[i]
	} else if flag := flagOf(r.ID); flag != "" {
		c = fixCommand(&report.Report{}, pod) + " " + flag
	} else {
		return ""
	}
	var named []string
	for _, v := range r.Verdicts {
		flag := ""
		switch {
		case byFlag(v):
			flag = v.By
		case v.Lifted && v.By != "":
			flag = "--attest " + quoted(v.By)
		case v.Blocks() && !lift:
			continue
		case v.Blocks() && v.Override == "":
			return ""
		case v.Blocks():
			flag = v.Override
		}
		if names, ok := strings.CutPrefix(flag, "--finalizers="); ok {
			named = append(named, names)
			continue
		}
		if flag != "" && !strings.Contains(c, flag) {
			c += " " + flag
		}
	}
	if len(named) > 0 && !strings.Contains(c, "--finalizers=") {
		slices.Sort(named)
		c = strings.Replace(c, "--finalizers", "--finalizers="+quoted(strings.Join(slices.Compact(named), ",")), 1)
	}
	return f.with(c)
}
