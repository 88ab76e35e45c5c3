package remedy

// All lists the rungs of the ladder, least dangerous first. Each is one file, rung_*.go; a test holds the files against this list.
func All() []Remedy {
	return []Remedy{}
}

// Guards lists the guards in the order in which docs/SAFETY.md has them. Each is one file, guard_*.go; a test holds the files against this list.
func Guards() []Guard {
	return []Guard{}
}

// Outlook says whether the rungs together are expected to help, and why.
func Outlook(_ *Case, _ []ID) (Help, string) {
	return MayHelp, ""
}
