package remedy

// All lists the rungs of the ladder, least dangerous first. Each is one file, rung_*.go; a test holds the files against this list.
func All() []Remedy {
	return []Remedy{
		rungWait(),
		rungRestore(),
		rungRestart(),
		rungDeletePod(),
		rungOutOfService(),
		rungDeleteNode(),
		rungForceDelete(),
		rungRemoveFinalizers(),
		rungLastResort(),
	}
}
