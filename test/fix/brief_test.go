package fix

import "os"

// brief tells that a person asked for a part of the tests, while working on them: FAULTS_BRIEF=1. CI never does.
func brief() bool { return os.Getenv("FAULTS_BRIEF") != "" }
